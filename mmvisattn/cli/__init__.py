"""Shared by the tools: arguments, checks of a config before it runs, and reports."""
