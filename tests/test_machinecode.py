"""Machine code on disk does not outlive the formulas compiled into it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FORMULA = "def grow(x):\n    return x {sign} 1\n"
KERNEL = """\
import numba
import formula
from qif2hw.machinecode import drop_stale
_grow = numba.njit(inline="always")(formula.grow)

@numba.njit(cache=True)
def run(x):
    return _grow(x)

drop_stale(run, (formula,))
"""


def answer(folder: Path) -> str:
    """What a new process computes, with its bytecode left unwritten: both versions may have one second's time stamp."""
    command = [sys.executable, "-B", "-c", "import kernel; print(kernel.run(10))"]
    environment = os.environ | {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


@pytest.mark.slow
def test_a_changed_formula_is_compiled_anew(tmp_path: Path) -> None:
    formula, kernel = tmp_path / "formula.py", tmp_path / "kernel.py"
    kernel.write_text(KERNEL)
    formula.write_text(FORMULA.format(sign="+"))
    assert answer(tmp_path) == "11"
    kept = list((tmp_path / "cache").rglob("*.nbc"))
    assert kept
    formula.write_text(FORMULA.format(sign="-"))
    later = max(old.stat().st_mtime for old in (tmp_path / "cache").rglob("*.nb?")) + 5
    os.utime(formula, (later, later))
    assert answer(tmp_path) == "9"
