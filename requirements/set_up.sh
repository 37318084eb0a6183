#!/usr/bin/env bash
# Make the environment of the Makefile's targets: set_up.sh ENVIRONMENT STACK LEVEL
#
# STACK is onedl or openmmlab. LEVEL is light (segmentation and restoration: nothing is compiled) or full (detection and the
# tests on top, which need mmcv's operators). The operators come without wheels for current torch, so they are built once and
# kept in the user's cache folder, by the versions of Python and torch. torch is the one pip finds, or the one of $TORCH (for
# example TORCH='torch==2.13.0 --index-url URL').
set -euo pipefail

env=$1
stack=$2
level=$3
here=$(cd "$(dirname "$0")" && pwd)
case $stack in
    onedl) lite=mmcv-lite==2.2.0 mmcv=onedl-mmcv==2.3.6 ;;
    openmmlab) lite=mmcv-lite==2.1.0 mmcv=mmcv==2.1.0 ;;
    *) echo "error: STACK=$stack is neither onedl nor openmmlab" >&2; exit 1 ;;
esac

fail() {
    echo "error: $1" >&2
    exit 1
}

# Only one set-up at a time works on a folder. What a killed one started counts, too: it inherits the lock.
lock() {
    flock --nonblock "$1" || { echo "== waiting for another set-up that works on $2"; flock "$1"; }
}

# While packages change, the environment is marked unfinished and not ready: this marks an interrupted set-up.
begin() {
    mkdir -p "$env"
    touch "$env/unfinished"
    rm -f "$env/ready" "$env/ready-full"
}

finish() {
    rm "$env/unfinished"
    (cd "$env" && touch "$@")
}

pip() { "$env/bin/python" -m pip --disable-pip-version-check "$@"; }

find_python() {
    python=${PYTHON:-}
    for candidate in python3 python3.12 python3.11 python3.10; do
        [ -n "$python" ] && break
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            python=$candidate
        fi
    done
    [ -n "$python" ] || fail "no Python 3.10 to 3.12 found; name one: make PYTHON=/path/to/python3.11 …"
}

has_operators() { compgen -G "$env/lib/python3.*/site-packages/mmcv/_ext.*" >/dev/null; }

set_up_light() {
    find_python
    echo "== setting up $env with the $stack line ($("$python" --version))"
    begin
    "$python" -m venv "$env" ||
        fail "venv does not work; on Debian and Ubuntu: sudo apt-get install python3-venv"
    echo "== torch"
    # shellcheck disable=SC2086  # $TORCH may hold options
    [ -z "${TORCH:-}" ] || pip install $TORCH
    pip install -r "$here/base.txt"
    echo "== the mm packages"
    has_operators && lite=
    # shellcheck disable=SC2086  # no word where it is empty
    pip install --no-deps -r "$here/$stack.txt" $lite
    pip install --no-deps --no-build-isolation -e "$here/.."
    finish ready
    echo "== $env is ready for segmentation and restoration"
}

kept_wheel() { compgen -G "$wheels/${name//-/_}-${mmcv##*==}-*.whl" >/dev/null; }

# Until this script ends.
show_progress() {
    while sleep 5 && kill -0 $$ 2>/dev/null; do
        done_files=$(grep -oE '^ *\[[0-9]+/[0-9]+\]' "$1" 2>/dev/null | tail -n 1 | tr -d ' ' || true)
        printf '\r   %s min %02d s  %s   ' $((SECONDS / 60)) $((SECONDS % 60)) "$done_files"
    done
}

# Every file of mmcv includes torch's headers, which take most of the time: they are compiled once, beside a header of the same
# name, where gcc looks for them (https://gcc.gnu.org/onlinedocs/gcc/Precompiled-Headers.html). A compiler that cannot use them
# reads the headers themselves. CFLAGS and MAX_JOBS are variables of setuptools and torch.
precompile_headers() {
    header=$1/torch_types.h
    echo '#include <torch/types.h>' >"$header"
    CFLAGS="${CFLAGS-$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("CFLAGS"))')} -g0"
    folders=$("$env/bin/python" -c '
from torch.utils.cpp_extension import include_paths
print(*(f"-I{path}" for path in include_paths()), sep="\n")')
    mapfile -t folders <<<"$folders"
    # The same options as mmcv's setup.py and torch add.
    # shellcheck disable=SC2086  # $CFLAGS holds several
    "${CXX:-c++}" $CFLAGS -fPIC "${folders[@]}" -x c++-header "$header" -o "$header.gch" \
        -std=c++17 -DTORCH_API_INCLUDE_EXTENSION_H -DTORCH_EXTENSION_NAME=_ext || rm -f "$header.gch"
    export CFLAGS="$CFLAGS -include $(printf %q "$header")" MAX_JOBS=${MAX_JOBS:-$(nproc)}
}

build_operators() {
    command -v "${CXX:-c++}" >/dev/null || fail "no C++ compiler found; on Debian and Ubuntu: sudo apt-get install g++"
    "$env/bin/python" -c '
import sysconfig, pathlib, sys
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())' ||
        fail "the headers of Python are missing; on Debian and Ubuntu: sudo apt-get install python3-dev"
    echo "== building $mmcv: about 6 minutes of processor time, once; later set-ups take it from $wheels"
    unfinished=$wheels/unfinished
    rm -rf "$unfinished"
    mkdir "$unfinished"
    SECONDS=0
    show_progress "$unfinished/build.log" 8<&- 9<&- &
    progress=$!
    trap 'kill $progress' EXIT
    # One process to the end: if this script is killed, the wheel still comes to its place. pip's cache may hold an mmcv that
    # was made without torch, and so without operators.
    (
        precompile_headers "$unfinished" >"$unfinished/build.log" 2>&1
        pip wheel --no-cache-dir --no-build-isolation --no-deps -w "$unfinished" -v "$mmcv" >>"$unfinished/build.log" 2>&1 &&
            mv "$unfinished"/*.whl "$wheels/"
    ) || {
        echo
        tail -n 30 "$unfinished/build.log" >&2
        fail "building $mmcv failed; the whole log is $unfinished/build.log"
    }
    rm -rf "$unfinished"
    kill $progress
    trap - EXIT
    echo
}

set_up_full() {
    echo "== adding detection and the tests to $env"
    begin
    pip install --no-deps -r "$here/build.txt" -r "$here/$stack-full.txt"
    finish ready
    name=${mmcv%%==*}
    wheels=${XDG_CACHE_HOME:-$HOME/.cache}/mmvisattn/wheels/$("$env/bin/python" -c '
import sys, torch
print(f"cp{sys.version_info[0]}{sys.version_info[1]}-torch{torch.__version__}")')
    mkdir -p "$wheels"
    exec 8<"$wheels"
    lock 8 "$wheels"
    kept_wheel || build_operators
    begin
    pip uninstall --yes mmcv-lite  # both own the folder mmcv
    pip install --no-deps --no-index --find-links "$wheels" --force-reinstall "$mmcv"
    has_operators || fail "the wheel in $wheels has no operators: remove it, and call again"
    finish ready ready-full
    echo "== $env is ready for everything"
}

exec 9<"$here"
lock 9 "$here"
if [ -e "$env/unfinished" ]; then
    echo "== the last set-up of $env was interrupted: starting anew"
    find "$env" -mindepth 1 -maxdepth 1 ! -name unfinished -exec rm -rf {} +
fi
# An environment keeps what it has: operators that were built for another torch would not do beside a new one.
[ "$level" = full ] && [ -e "$env/ready" ] || set_up_light
if [ "$level" = full ] || has_operators; then
    set_up_full
fi
