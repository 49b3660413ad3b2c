import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from networks import ordinary
from numpy.typing import NDArray

from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.ir import Program
from qif2hw_lava import Interpreter, LavaMissing, find_interpreter


@pytest.fixture(scope="session")
def lava() -> Interpreter:
    """The interpreter with Lava; where there is none, the test is skipped and the summary says why."""
    try:
        return find_interpreter()
    except LavaMissing as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def program() -> Program:
    return compile_network(ordinary((1, 4, 2)), CompileOptions(steps=64, rounding="nearest")).program


@pytest.fixture(scope="session")
def x() -> NDArray[np.float64]:
    return np.linspace(0, 1, 3)[:, None]


class Traces:
    """What workers below a folder have left, or still hold: processes, shared memory, files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.segments: set[Path] = set()

    def processes(self) -> list[int]:
        """Processes that work in the folder, as all of a worker's do."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(entry / "cwd").startswith(str(self.folder)):  # noqa: PTH115
                    found.append(int(entry.name))
        return found

    def look(self, *_: object) -> None:
        """Note the shared memory that is in use now."""
        for process in self.processes():
            with suppress(OSError):
                for line in Path(f"/proc/{process}/maps").read_text().splitlines():
                    if "/dev/shm/psm_" in line:
                        self.segments.add(Path(line.split()[5]))

    def left(self) -> list[object]:
        """Everything that should be gone after a run."""
        return [
            *self.processes(),
            *(segment for segment in self.segments if segment.exists()),
            *self.folder.glob("qif2hw-lava-*"),
        ]


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    """Job folders go below ``tmp_path``; nothing may be left when the test is over."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = Traces(tmp_path)
    yield found
    assert found.left() == []
