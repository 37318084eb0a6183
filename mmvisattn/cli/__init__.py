"""Shared by the tools: arguments, checks of a config before it runs, and reports."""
import warnings

# mmcv-lite warns at each start of what it lacks; ``checks.check_packages`` reports it if a config needs it.
warnings.filterwarnings('ignore', 'Fail to import')
