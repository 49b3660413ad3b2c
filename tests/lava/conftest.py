import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from networks import ordinary
from numpy.typing import NDArray

import qif2hw
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.ir import Program
from qif2hw_deploy.loihi2 import chip
from qif2hw_lava import Interpreter, LavaMissing, find_interpreter, launch


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
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same program in a bundle."""
    path = tmp_path_factory.mktemp("bundle") / "model.qif"
    return qif2hw.compile(ordinary((1, 4, 2)), steps=64, rounding="nearest").save(path)


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

    def look_and_sleep(seconds: float) -> None:
        found.look()
        time.sleep(seconds)

    monkeypatch.setattr(launch, "sleep", look_and_sleep)
    yield found
    assert found.left() == []


@dataclass(frozen=True)
class StandIn:
    """A Python with Lava, a stand-in for Intel's extension and one for the vendor's half (see standin/README.md)."""

    python: Path
    site: Path


@pytest.fixture(scope="session")
def standin_python(lava: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    folder = tmp_path_factory.mktemp("standin")
    subprocess.run([lava.path, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    asked = [lava.path, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    site = folder / "site"
    offer(site, "standin = standin_half:Half")
    (own,) = (folder / "venv").glob("lib/python3*/site-packages")
    (own / "standin.pth").write_text(f"{packages}\n{Path(__file__).parent / 'standin'}\n{site}\n")
    return StandIn(folder / "venv" / "bin" / "python", site)


def offer(site: Path, entries: str) -> None:
    """Put the metadata of a distribution ``half`` with these entry points into a folder, in the place of the last."""
    metadata = site / "half-1.0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: half\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[qif2hw.loihi2]\n{entries}\n")


@pytest.fixture
def standin(standin_python: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Everything that a run on Loihi 2 needs seems to be there; the stand-in takes the place of all of it."""
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", str(standin_python.python))
    for name in ("BOARD", "NXSDKHOST", "LOIHI_GEN", "NOSLURM", "SLURM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PARTITION", "oheogulch")
    chip._GOOD.clear()
    return standin_python
