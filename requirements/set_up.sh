#!/usr/bin/env bash
# Make the environment that `make demo` and `make test` run in: set_up.sh ENVIRONMENT STACK (onedl or openmmlab).
#
# mmcv comes without wheels for current torch, so it is built once and kept in the user's cache folder, by the versions of
# Python and torch. torch is the one pip finds, or the one of $TORCH (for example TORCH='torch==2.13.0 --index-url URL').
set -euo pipefail

env=$1
stack=$2
here=$(cd "$(dirname "$0")" && pwd)
case $stack in
    onedl) mmcv=onedl-mmcv==2.3.6 ;;
    openmmlab) mmcv=mmcv==2.1.0 ;;
    *) echo "error: STACK=$stack is neither onedl nor openmmlab" >&2; exit 1 ;;
esac

fail() {
    echo "error: $1" >&2
    exit 1
}

python=${PYTHON:-}
for candidate in python3 python3.12 python3.11 python3.10; do
    [ -n "$python" ] && break
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
        python=$candidate
    fi
done
[ -n "$python" ] || fail "no Python 3.10 to 3.12 found; name one: make PYTHON=/path/to/python3.11 …"
command -v g++ >/dev/null || fail "no C++ compiler found; on Debian and Ubuntu: sudo apt-get install g++"

echo "== setting up $env with the $stack line ($("$python" --version))"
"$python" -m venv "$env" ||
    fail "venv does not work; on Debian and Ubuntu: sudo apt-get install python3-venv python3-dev"
pip() { "$env/bin/python" -m pip --disable-pip-version-check "$@"; }
# shellcheck disable=SC2086  # $TORCH may hold options
[ -z "${TORCH:-}" ] || pip install $TORCH
pip install -r "$here/build.txt"
pip install --no-deps -r "$here/$stack.txt"

key=$("$env/bin/python" -c '
import sys, torch
print(f"cp{sys.version_info[0]}{sys.version_info[1]}-torch{torch.__version__}")')
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/mmvisattn/wheels/$key
name=${mmcv%%==*}
if ! compgen -G "$wheels/${name//-/_}-${mmcv##*==}-*.whl" >/dev/null; then
    "$env/bin/python" -c '
import sysconfig, pathlib, sys
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())' ||
        fail "the headers of Python are missing; on Debian and Ubuntu: sudo apt-get install python3-dev"
    echo "== building $mmcv: about 14 minutes on two cores, once; later set-ups take it from $wheels"
    mkdir -p "$wheels"
    unfinished=$(mktemp -d "$wheels/.building-XXXXXX")
    trap 'rm -rf "$unfinished"' EXIT
    pip wheel --no-build-isolation --no-deps -w "$unfinished" -v "$mmcv" >"$unfinished/build.log" 2>&1 &
    build=$!
    started=$SECONDS
    while kill -0 $build 2>/dev/null; do
        sleep 5
        done_files=$(grep -oE '^ *\[[0-9]+/[0-9]+\]' "$unfinished/build.log" | tail -n 1 | tr -d ' ' || true)
        printf '\r   %s min %02d s  %s   ' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$done_files"
    done
    echo
    wait $build || {
        tail -n 30 "$unfinished/build.log" >&2
        mv "$unfinished/build.log" "$wheels/build.log"
        fail "building $mmcv failed; the whole log is $wheels/build.log"
    }
    mv "$unfinished"/*.whl "$wheels/"
fi
pip install --no-deps --no-index --find-links "$wheels" "$mmcv"
pip install --no-deps --no-build-isolation -e "$here/.."
touch "$env/ready"
echo "== $env is ready"
