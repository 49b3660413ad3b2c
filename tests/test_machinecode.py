"""Machine code on disk: the form for one thread and that for all never load each other's."""

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
import numba
import numpy as np
from numba import prange
from qif2hw.machinecode import for_one_thread_and_all

def _threads(seen):
    for k in prange(seen.size):
        seen[k] = numba.get_thread_id()

alone, all_of_them = for_one_thread_and_all(_threads)
"""
USE = """
import numpy as np, twice
seen = np.zeros(1000, np.int64)
{first}(seen); a = len(set(seen.tolist()))
{second}(seen); b = len(set(seen.tolist()))
print(a, b)
"""


def _run(folder: Path, first: str, second: str) -> list[int]:
    code = USE.format(first=f"twice.{first}", second=f"twice.{second}")
    env = {**os.environ, "NUMBA_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=True
    )
    return [int(word) for word in done.stdout.split()]


def test_both_forms_are_found_again(tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text(MODULE, encoding="utf-8")
    assert _run(tmp_path, "alone", "all_of_them") == [1, 2]
    assert _run(tmp_path, "all_of_them", "alone") == [2, 1]
