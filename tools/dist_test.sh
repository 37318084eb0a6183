#!/usr/bin/env bash
# Evaluate in several processes: tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py].
set -euo pipefail
[ $# -ge 3 ] || { echo 'usage: tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]' >&2; exit 2; }
exec "$(dirname "$0")/dist_run.sh" test "$3" "$1" "$2" "${@:4}"
