#!/bin/sh
# Make the development environment in .venv, under constraints.txt. Does nothing when nothing has changed.
#
# Lava (lava-nc) exists for Python 3.10 only, so a Python 3.10 is looked for first:
#   found                     .venv has everything: library, training, Lava, lava-dl, report, checks
#   none                      .venv on the newest Python of 3.11 to 3.13, without Lava; says what that costs
#   QIF2HW_PYTHON=python3.X   .venv on that Python; if it is not 3.10 and a 3.10 exists, a second environment
#                             .venv-lava is made for it: qif2hw starts its Lava worker there
set -eu
cd "$(dirname "$0")/.."
ROOT=$PWD
STAMP=.venv/.qif2hw-stamp

say() { printf '%s\n' "$*"; }
die() { printf 'make-env: %s\n' "$*" >&2; exit 2; }

# The full path of the interpreter that the command $1 starts, if it runs, can make environments and is in range.
interpreter() {
    "$1" - <<'PY' 2>/dev/null
import sys, venv, ensurepip
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(1)
print(getattr(sys, "_base_executable", None) or sys.executable)
PY
}

# Which Python this is, the same from inside an environment made on it.
identity() { "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null; }

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# A Python 3.10: on the path, or kept by pyenv or uv.
find_310() {
    for candidate in python3.10 python3 python \
        "$(pyenv prefix 3.10 2>/dev/null || true)/bin/python3.10" \
        "$(UV_PYTHON_DOWNLOADS=never uv python find --no-project --system 3.10 2>/dev/null || true)"; do
        found=$(interpreter "$candidate") && [ "$(version "$found")" = 3.10 ] && { say "$found"; return 0; }
    done
    return 1
}

find_newer() {
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        interpreter "$candidate" && return 0
    done
    return 1
}

# Make the environment $1 on the interpreter $2 and install the package with the extras $3 in it, and the packages $4
# without what they depend on.
install() {
    if [ "$(identity "$1/bin/python" || true)" != "$(identity "$2")" ]; then
        say "make-env: a new environment in $1 on $2"
        "$2" -m venv --clear "$1"
    fi
    pip="$ROOT/$1/bin/python -m pip --disable-pip-version-check"
    # uv is only the fast way. It does not read pip's variables: pass on those that say where packages come from. Unlike
    # pip it leaves the compiling of modules to the first process that imports them, and to each, if none may write.
    if $pip install --quiet -c constraints.txt uv && (
        export UV_PYTHON_DOWNLOADS=never
        [ -z "${PIP_INDEX_URL-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX-$PIP_INDEX_URL}"
        [ -z "${PIP_EXTRA_INDEX_URL-}" ] || export UV_INDEX="${UV_INDEX-$PIP_EXTRA_INDEX_URL}"
        [ -z "${PIP_FIND_LINKS-}" ] || export UV_FIND_LINKS="${UV_FIND_LINKS-$(printf %s "$PIP_FIND_LINKS" | tr ' ' ',')}"
        [ -z "${PIP_CERT-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE-$PIP_CERT}"
        "$1/bin/uv" pip install --python "$1/bin/python" --compile-bytecode -e ".[$3]" -c constraints.txt &&
            { [ -z "${4-}" ] || "$1/bin/uv" pip install --python "$1/bin/python" --compile-bytecode --no-deps $4; }
    ); then
        return 0
    fi
    say "make-env: uv cannot be had or cannot install here; going on with pip"
    $pip install -e ".[$3]" -c constraints.txt
    [ -z "${4-}" ] || $pip install --no-deps $4
}

lava_left_out() {
    say ""
    say "  LAVA WAS LEFT OUT: no Python 3.10 was found, and lava-nc exists for no other."
    say "  What does not run:  qif2hw run --backend lava, the Lava column of qif2hw parity and of the demo,"
    say "                      qif2hw_slayer (lava-dl), and the tests marked 'lava' (they are skipped)."
    say "  What runs:          everything else; training, compiling, the integer engine, the reference, reports."
    say "  How to get it:      install Python 3.10 (for example: pyenv install 3.10, or your system's packages),"
    say "                      then: make clean-env env"
    say "                      or point QIF2HW_LAVA_PYTHON at a Python 3.10 that has this package with [lava]."
    say ""
}

lava_python=$(find_310) || lava_python=
if [ -n "${QIF2HW_PYTHON-}" ]; then
    python=$(interpreter "$QIF2HW_PYTHON") ||
        die "QIF2HW_PYTHON=$QIF2HW_PYTHON does not run, has no venv module, or is not Python 3.10 to 3.13"
elif [ -n "$lava_python" ]; then
    python=$lava_python
else
    python=$(find_newer) || die "no Python 3.10 to 3.13 with the venv module was found"
fi

case $(version "$python"):$lava_python in
    3.10:*) mode=lava ;;
    *:) mode=nolava ;;
    *) mode=child ;;
esac

# What the environment depends on; if this is unchanged and the environments still run, there is nothing to do.
wanted=$(cksum pyproject.toml constraints.txt scripts/make-env.sh; say "$ROOT $mode $python $lava_python")
if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null &&
    { [ "$mode" != child ] || .venv-lava/bin/python -c '' 2>/dev/null; }; then
    [ "$mode" != nolava ] || lava_left_out
    exit 0
fi

rm -f "$STAMP"
# NeuroBench demands data loaders that its metrics do not need.
NEUROBENCH=neurobench==2.3.0
case $mode in
    # lava-dl pins pytest and pillow to versions that it does not need; what it needs is the extra slayer.
    lava) install .venv "$python" train,lava,baselines,slayer,nir,report,tables,sklearn,search,dask,sanafe,docs,dev "lava-dl==0.6.0 $NEUROBENCH" ;;
    nolava) install .venv "$python" train,baselines,slayer,nir,report,tables,sklearn,search,dask,sanafe,docs,dev "$NEUROBENCH" ;;
    child)
        install .venv "$python" train,baselines,slayer,nir,report,tables,sklearn,search,dask,sanafe,docs,dev "$NEUROBENCH"
        install .venv-lava "$lava_python" lava
        ;;
esac
say "make-env: compiling kernels; their machine code is kept (qif2hw doctor --warm)"
.venv/bin/qif2hw doctor --warm --json > /dev/null
say "$wanted" > "$STAMP"

say "make-env: ready: $ROOT/.venv (Python $(version "$python"))"
case $mode in
    nolava) lava_left_out ;;
    child) say "make-env: Lava runs in a child process: QIF2HW_LAVA_PYTHON=$ROOT/.venv-lava/bin/python" ;;
esac
