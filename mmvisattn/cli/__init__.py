"""What the tools share: arguments, checks of a config before it runs, and reports."""
