"""Shared by the tools: arguments, checks of a config before it runs, and reports.

A tool imports this package before all else, because torch reads the variables that are set here when it is loaded.
"""
import os
import warnings

# mmcv-lite warns at each start of what it lacks; ``checks.check_packages`` reports it if a config needs it.
warnings.filterwarnings('ignore', 'Fail to import')

# OpenMP's threads wait for each other actively by default: where another process has one of the cores, those that are done
# keep the other cores busy until it is their turn, and a pass takes many times as long. A short active wait costs little and
# spares small operations the time to wake a thread: GOMP_SPINCOUNT of GNU's OpenMP, which goes before OMP_WAIT_POLICY there.
if not {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'} & set(os.environ):
    os.environ.update(OMP_WAIT_POLICY='PASSIVE', GOMP_SPINCOUNT='1000')
