#!/usr/bin/env bash
# Creates .venv and installs vr1_ray into it; `make setup` calls this from the repository root.
#
#   docker/setup_env.sh cpu|gpu        PYTHON=python3.12 chooses another interpreter
#
# Running it again repairs or updates what is there. The two kinds don't mix in one .venv: both vllm
# wheels provide the same `vllm` package.
set -euo pipefail

kind=${1:?usage: docker/setup_env.sh cpu|gpu}
python=${PYTHON:-python3}
cpu_wheels=https://download.pytorch.org/whl/cpu

fail() {
    echo "setup: $*" >&2
    exit 1
}

[[ $kind == cpu || $kind == gpu ]] || fail "the kind is '$kind'; it must be cpu or gpu"

other=$([[ $kind == cpu ]] && echo gpu || echo cpu)
[[ ! -e .venv/.installed-$other ]] ||
    fail ".venv holds the $other build; remove it first (rm -rf .venv), then run this again"

if [[ ! -x .venv/bin/python ]]; then
    command -v "$python" >/dev/null || fail "no '$python' found; install Python 3.11 or later, or set PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old; vr1_ray needs Python 3.11 or later (set PYTHON=/path/to/python3)"
fi

# DeepSpeed compiles a small communication library at its first use.
read -ra compiler <<<"${CXX:-}"
command -v "${compiler[0]:-c++}" >/dev/null || command -v g++ >/dev/null ||
    fail "no C++ compiler found (c++ or g++); DeepSpeed needs one (Debian, Ubuntu: apt install g++)"

[[ -x .venv/bin/python ]] || "$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check)

.venv/bin/python -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' ||
    fail "the headers of $(.venv/bin/python --version) are missing; DeepSpeed needs them (Debian, Ubuntu: apt install python3-dev)"

# torch comes first and alone, so that no other requirement can pull in another build of it.
if [[ $kind == gpu ]]; then
    "${pip[@]}" install torch==2.13.0
elif ! "${pip[@]}" install torch==2.13.0+cpu; then
    echo "setup: the configured package indexes have no CPU build of torch; asking $cpu_wheels"
    # torchvision from the same place, so that the two are built alike.
    "${pip[@]}" install --extra-index-url "$cpu_wheels" torch==2.13.0+cpu torchvision
fi
"${pip[@]}" install --editable ".[$kind,dev]"
.venv/bin/python docker/torchvision_hook.py
touch ".venv/.installed-$kind"
