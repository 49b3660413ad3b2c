"""Machine code on disk: not older than its formulas, and of the form that was asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FORMULA = "def grow(x):\n    return x {sign} 1\n"
KERNEL = """\
import numba
from room import formula
from qif2hw.machinecode import compiled
_grow = numba.njit(inline="always")(formula.grow)

@compiled
def run(x):
    return _grow(x)
"""
TWICE = """\
import numba
from numba import prange
from qif2hw.machinecode import for_one_thread_and_all

def _threads(seen):
    for k in prange(seen.size):
        seen[k] = numba.get_thread_id()

alone, together = for_one_thread_and_all(_threads)
"""
USE = """\
import numba, numpy, kernel
numba.set_num_threads(2)  # starts the threads: asking for their numbers needs them, in the form for one too
for name in {names}:
    seen = numpy.zeros(1000, int)
    getattr(kernel, name)(seen)
    print(name, len(set(seen.tolist())))
"""


def answer(folder: Path, code: str) -> str:
    """What a new process computes, with its bytecode left unwritten: both versions may have one second's time stamp."""
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "NUMBA_NUM_THREADS": "2",
    }
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


@pytest.mark.slow
def test_a_changed_formula_is_compiled_anew(tmp_path: Path) -> None:
    """By content: neither an older nor a newer date of a file decides."""
    room = tmp_path / "room"
    room.mkdir()
    (room / "__init__.py").touch()
    (room / "kernel.py").write_text(KERNEL)
    formula = room / "formula.py"
    code = "from room import kernel; print(kernel.run(10), sum(kernel.run.stats.cache_misses.values()))"
    for sign, answers in ("+", ("11 1", "11 0")), ("-", ("9 1", "9 0")):
        formula.write_text(FORMULA.format(sign=sign))
        for date, expected in zip((1e9, 4e9), answers, strict=True):
            os.utime(formula, (date, date))
            assert answer(tmp_path, code) == expected


@pytest.mark.slow
@pytest.mark.parametrize("first", ["alone", "together"])
def test_both_forms_are_compiled_and_found_again(tmp_path: Path, first: str) -> None:
    """Whichever is compiled first, in this process or an earlier one."""
    (tmp_path / "kernel.py").write_text(TWICE)
    names = sorted(("alone", "together"), key=lambda name: name != first)
    for order in (names, names[::-1]):
        said = dict(line.split() for line in answer(tmp_path, USE.format(names=order)).splitlines())
        assert said == {"alone": "1", "together": "2"}
