#!/usr/bin/env bash
# Train in several processes: tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]. See tools/dist_run.sh.
set -euo pipefail
[ $# -ge 2 ] || { echo 'usage: tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]' >&2; exit 2; }
exec "$(dirname "$0")/dist_run.sh" train "$2" "$1" "${@:3}"
