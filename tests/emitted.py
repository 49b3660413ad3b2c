"""Builds emitted programs and runs them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qif2hw.bundle import AnyBundle, Bundle
from qif2hw.emit import to_c99
from qif2hw.ir import Run
from qif2hw.ir.stepped import SteppedRun

CORTEX = Path(__file__).parent / "emit" / "cortex_m4"
STRICT = "-Werror"
SANITIZED = {
    "gcc": f"-O1 -g {STRICT} -fsanitize=undefined,address -fno-sanitize-recover=all",
    # Without the library that prints what happened.
    "clang": f"-O1 -g {STRICT} -fsanitize=undefined -fsanitize-trap=undefined",
}
"""Flags that end the program at the first undefined behaviour."""


def needed(*programs: str) -> None:
    """Skip the test unless these programs are installed; .ci/run installs them where it can."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (.ci/run installs them on Debian)")


@dataclass(frozen=True)
class Program:
    """An emitted program in a folder, and how to build and run it."""

    folder: Path
    variables: tuple[str, ...]
    start: tuple[str, ...] = ("./{}",)

    def make(self, goal: str) -> str:
        """What ``make GOAL`` prints; it may not print a warning."""
        done = subprocess.run(["make", "-s", *self.variables, goal], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``./network ARGUMENTS``."""
        command = [part.format("network") for part in self.start]
        if command[0].startswith("qemu"):
            words = ",".join(f"arg={word}" for word in ("network", *arguments))
            command[command.index("WORDS")] = f"enable=on,target=native,{words}"
        else:
            command += arguments
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def numbers(self, *arguments: str) -> NDArray[np.int64]:
        """What it prints, line by line."""
        done = self.run(*arguments, "inputs.csv")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        lines = [line.split(",") for line in done.stdout.splitlines()]
        return np.array(lines, np.int64) if lines else np.zeros((0, 0), np.int64)


def native(bundle: AnyBundle, x: Any, folder: Path, compiler: str = "gcc", flags: str = "-O2 " + STRICT) -> Program:
    """Emitted for this machine, with inputs ``x``."""
    needed(compiler, "make")
    _write(bundle, x, folder)
    return Program(folder, (f"CC={compiler}", f"CFLAGS={flags}"))


def cortex_m4(bundle: AnyBundle, x: Any, folder: Path) -> Program:
    """Emitted for a Cortex-M4 without floating point, on qemu."""
    needed("arm-none-eabi-gcc", "qemu-system-arm", "make")
    _write(bundle, x, folder)
    core = "-mcpu=cortex-m4 -mthumb -O2"
    start = folder / "startup"
    subprocess.run(["arm-none-eabi-gcc", *core.split(), "-c", "-o", start, CORTEX / "startup.c"], check=True)
    link = f"--specs=rdimon.specs -nostartfiles -T {CORTEX / 'mps2-an386.ld'} {start}"
    qemu = ("qemu-system-arm", "-M", "mps2-an386", "-nographic", "-kernel", "{}", "-semihosting-config", "WORDS")
    under = " ".join(qemu[:4]) + " -semihosting-config enable=on,target=native -kernel"
    variables = ("CC=arm-none-eabi-gcc", f"CFLAGS={core} {STRICT}", f"LDFLAGS={link}", f"RUN={under}")
    return Program(folder, variables, qemu)


def _write(bundle: AnyBundle, x: Any, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in to_c99(bundle, x).items():
        (folder / name).write_bytes(data)


def outputs(run: Run | SteppedRun, bundle: AnyBundle) -> NDArray[np.int64]:
    """What ``./network`` has to print for this run of the engine."""
    if isinstance(run, Run):
        assert run.machine is not None
        machine = run.machine
        return np.stack([machine.step, machine.lateness, machine.flush], axis=2).reshape(len(run.y), -1)
    assert not isinstance(bundle, Bundle)
    units = bundle.program.decode(np.ones((1, bundle.program.results), np.int64))[0]
    return np.concatenate([np.rint(run.y / units), run.label[:, None]], axis=1).astype(np.int64)


def spikes(run: Run | SteppedRun, bundle: AnyBundle) -> NDArray[np.int64]:
    """What ``./network --spikes`` has to print, in any order."""
    rows = []
    for k, population in enumerate(bundle.program.populations):
        if isinstance(run, Run):
            s = run.step_spikes[population.name]
            rows.append(np.stack([s.sample, np.full(len(s), k), s.neuron, s.step, s.lateness], axis=1))
        elif population.name in run.spikes:
            sample, step, neuron = np.nonzero(run.spikes[population.name])
            rows.append(np.stack([sample, np.full_like(sample, k), neuron, step], axis=1))
    return sorted_rows(np.concatenate(rows).astype(np.int64))


def sorted_rows(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows in one order."""
    if not rows.size:
        return rows
    return rows[np.lexsort(rows.T[::-1])]


def assert_equal(program: Program, bundle: AnyBundle, run: Run | SteppedRun) -> None:
    """The program prints the outputs and every spike of a run of the engine."""
    program.make("network")
    np.testing.assert_array_equal(program.numbers(), outputs(run, bundle))
    wanted = spikes(run, bundle)
    np.testing.assert_array_equal(sorted_rows(program.numbers("--spikes")).reshape(wanted.shape), wanted)
