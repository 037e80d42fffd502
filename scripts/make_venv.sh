#!/usr/bin/env bash
# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0
# Create the virtual environment VENV with PYTHON and install requirement files and this package (editable) into it.
# Versions come from requirements/constraints.txt, or from the file that CONSTRAINTS names.
# Usage: scripts/make_venv.sh VENV PYTHON REQUIREMENTS...
set -euo pipefail

venv=$1
wanted=$2
shift 2
constraints=${CONSTRAINTS:-requirements/constraints.txt}
log=$venv/setup.log

fail() {
    printf 'set-up: %s\n' "$@" >&2
    exit 1
}

# pyenv puts a shim named python3.10 on the path even where that version is not the active one: ask it for the real one.
find_python() {
    local version
    if "$wanted" -c '' 2>/dev/null; then
        command -v "$wanted"
    elif command -v pyenv >/dev/null && version=$(pyenv whence "$(basename "$wanted")" 2>/dev/null | tail -n 1) && [ -n "$version" ]; then
        echo "$(pyenv root)/versions/$version/bin/$(basename "$wanted")"
    fi
}

python=$(find_python)
[ -n "$python" ] || fail "'$wanted' does not run. Install it (Debian, Ubuntu: sudo apt install $wanted), or name another: make PYTHON=python3.12 ..."
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$python is Python $version, needed is 3.10 or newer. Name another: make PYTHON=python3.12 ..."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python $version lacks venv. Debian, Ubuntu: sudo apt install python3-venv (or python$version-venv)"
case "$*" in
*ros-*) [ "$(uname -sm)" = "Linux x86_64" ] ||
    fail "PyPI has ROS 2 for Linux x86_64 only, this is $(uname -sm). Use a ROS 2 installation and colcon (README, 'With ROS 2')." ;;
esac

mkdir -p "$venv"
exec 9>"$venv/.lock" # two makes at once: the second waits, then finds everything installed
if command -v flock >/dev/null; then flock 9; fi

# An environment whose interpreter has gone (an upgraded system, a moved checkout) is made anew.
if ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "set-up: $venv with Python $version ($python)"
    "$python" -m venv --clear "$venv"
    exec 9>"$venv/.lock"
fi

# pip's whole output goes to the log, a line for each download to the terminal.
install() {
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" 2>&1 |
        tee -a "$log" | { grep --line-buffered -oE '^ *Downloading [^ ]+\.whl \([0-9.]+ [MG]B\)' || true; }; then
        tail -n 15 "$log" >&2
        fail "pip failed, see above and $log. After the cause is gone, the same command goes on from here."
    fi
}

echo "set-up: installing pinned packages into $venv: $(basename -a "$@" | paste -sd ' ')"
install --constraint "$constraints" pip
requirements=()
for file in "$@"; do requirements+=(--requirement "$file"); done
install --constraint "$constraints" "${requirements[@]}"
install --no-deps --no-build-isolation --editable .
echo "set-up: $venv is ready"
