# Sourced by scripts/genlab and scripts/test: makes .venv and installs GenLab into it, once.
# usage: setup EXTRA     EXTRA: "" for running, "[dev]" for testing as well


find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "genlab: needs Python 3.11, 3.12 or 3.13 with venv; none was found" >&2
    return 1
}

setup() {
    local root=$1 extra=$2 python stamp
    # What was installed is known by the files that decide it, so an unchanged checkout starts at once.
    stamp="$(cat "$root/pyproject.toml" "$root/scripts/constraints.txt" | cksum) $root"
    [[ -f $root/.venv/installed$extra && $(<"$root/.venv/installed$extra") == "$stamp" ]] && return
    echo "genlab: setting up $root/.venv (torch is large: a minute or more)" >&2
    # A set-up that was interrupted may have left half an environment.
    "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1 ||
        { python=$(find_python) && "$python" -m venv --clear "$root/.venv"; } || return 1
    "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$root/scripts/constraints.txt" --editable "$root$extra" >&2 || return 1
    echo "$stamp" >"$root/.venv/installed$extra"
    echo "$stamp" >"$root/.venv/installed"
}
