"""Machine code on disk: not older than its formulas, and of the form that was asked for."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from networks import ordinary, stepped_images

import qif2hw

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
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
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
            for file in (formula, room / "kernel.py"):
                os.utime(file, (date, date))
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


SIMPLE = "from qif2hw.machinecode import compiled\n\n@compiled\ndef run(x):\n    return x + 1\n"
RUN = "import kernel; print(kernel.run(10), sum(kernel.run.stats.cache_misses.values()))"


def zeroed(data: bytes) -> bytes:
    """As after a power failure: some of it never reached the disk."""
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


def turned(data: bytes) -> bytes:
    """One bit of machine code is another one."""
    middle = 2 * len(data) // 3
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGE = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:-7],
    "one byte": lambda data: data[:1],
    "foreign": lambda data: b"something else",
    "zeros": zeroed,
}


@pytest.mark.parametrize(
    ("ending", "how"),
    [*((ending, how) for ending in ("nbi", "nbc") for how in DAMAGE.values()), ("nbc", turned)],
    ids=[*(f"{ending} {name}" for ending in ("index", "code") for name in DAMAGE), "code one bit"],
)
def test_damaged_machine_code_is_compiled_anew(tmp_path: Path, ending: str, how: Callable[[bytes], bytes]) -> None:
    (tmp_path / "kernel.py").write_text(SIMPLE)
    assert answer(tmp_path, RUN) == "11 1"
    for file in (tmp_path / "cache").rglob(f"*.{ending}"):
        file.write_bytes(how(file.read_bytes()))
    assert answer(tmp_path, RUN) == "11 1"
    assert answer(tmp_path, RUN) == "11 0"


def test_a_missing_part_is_compiled_anew(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text(SIMPLE)
    for ending in ("nbi", "nbc"):
        answer(tmp_path, RUN)
        for file in (tmp_path / "cache").rglob(f"*.{ending}"):
            file.unlink()
            file.mkdir()
        assert answer(tmp_path, RUN).startswith("11 ")
        for file in (tmp_path / "cache").rglob(f"*.{ending}"):
            file.rmdir()


@pytest.mark.parametrize("where", ["home is a file", "no home", "folder given"])
def test_without_a_folder_for_machine_code(tmp_path: Path, where: str) -> None:
    """Neither beside the sources, nor at home, nor in NUMBA_CACHE_DIR can a folder be made, for root neither."""
    for name in ("kernel", "other"):
        (tmp_path / f"{name}.py").write_text(SIMPLE)
    blocked = tmp_path / "__pycache__"
    blocked.touch()
    environment = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment |= {"PYTHONPATH": str(tmp_path), "HOME": "/proc/none" if where == "no home" else str(blocked)}
    if where == "folder given":
        environment["NUMBA_CACHE_DIR"] = str(blocked / "cache")
    code = "import kernel, other; print(kernel.run(10), other.run(1))"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd="/", env=environment, capture_output=True, text=True)
    assert done.stdout == "11 2\n", done.stderr
    said = [line for line in done.stderr.splitlines() if "RuntimeWarning" in line]
    assert len(said) == 1
    assert said[0].endswith("set NUMBA_CACHE_DIR to a folder that can be written")
    assert not list(tmp_path.rglob("*.nb*"))


def test_a_full_disk_costs_the_machine_code_alone(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text(SIMPLE)
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    code = f"import warnings; warnings.simplefilter('ignore')\n{full}{RUN}"
    assert answer(tmp_path, code) == answer(tmp_path, code) == "11 1"
    assert answer(tmp_path, RUN) == "11 1"


def test_without_a_compiler(tmp_path: Path) -> None:
    """With NUMBA_DISABLE_JIT kernels are plain functions, in both forms; layers say that they need compiled ones."""
    (tmp_path / "kernel.py").write_text(TWICE.replace("numba.get_thread_id()", "k"))
    code = """
import os
os.environ["NUMBA_DISABLE_JIT"] = "1"
import kernel, numpy, torch
for run in (kernel.alone, kernel.together):
    seen = numpy.zeros(4, int)
    run(seen)
    print(seen.sum())
from qif2hw.nn import QIFNetwork
try: QIFNetwork((1, 2))(torch.zeros(1, 1, dtype=torch.float64))
except ValueError as error: print(error)
"""
    assert answer(tmp_path, code).splitlines() == [
        "6",
        "6",
        "NUMBA_DISABLE_JIT is set: a layer needs compiled kernels, unset it (or use path='eager')",
    ]


def test_programs_without_a_compiler(tmp_path: Path) -> None:
    """With NUMBA_DISABLE_JIT the engine is its specification, and certificates are refused."""
    x, images = np.random.default_rng(0).random((9, 2)), np.random.default_rng(0).random((2, 2, 8, 8))
    for bundle, name, given in (
        (qif2hw.compile(ordinary((2, 6, 2)), steps=32, rounding="nearest"), "event", x),
        (qif2hw.compile(stepped_images(), calibration=images), "stepped", images),
    ):
        bundle.save(tmp_path / f"{name}.qif")
        np.savez(tmp_path / f"{name}.npz", x=given, y=bundle.run(given).y)
    code = """
import numpy, qif2hw
from qif2hw.parity import check
for name in ("event", "stepped"):
    bundle, kept = qif2hw.load(f"{name}.qif"), numpy.load(f"{name}.npz")
    print(numpy.array_equal(bundle.run(kept["x"]).y, kept["y"]))
bundle, x = qif2hw.load("event.qif"), numpy.load("event.npz")["x"]
print(len(qif2hw.compile(bundle.network, steps=32, rounding="nearest").run(x).y))
try: check(bundle, x, backends=["reference", "engine"])
except qif2hw.InputError as error: print(error)
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    said = "NUMBA_DISABLE_JIT is set: certificates need the compiled engine, unset it"
    assert done.stdout.splitlines() == ["True", "True", "9", said]
