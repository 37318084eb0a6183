"""What the tools share: arguments, checks of a config before it runs, and reports."""
import warnings

# mmcv-lite tells at each start what it lacks; a config that needs that is told so by ``checks.check_packages``.
warnings.filterwarnings('ignore', 'Fail to import')
