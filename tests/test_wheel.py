"""The wheel in fresh environments of the Pythons that it supports, far from the checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
LONG = pytest.mark.long
EXTRAS = "dask,nir,report,search,slayer,tables"
TRAINING = "train,sklearn"


def python(version: str) -> str:
    """An interpreter of this version: on the path, or kept by pyenv or uv."""
    tried = [[f"python{version}", "-c", "import sys; print(sys.executable)"]]
    uv = [str(Path(sys.executable).with_name("uv")), "python", "find", "--no-project", "--system", version]
    for command in [*tried, ["pyenv", "prefix", version], uv]:
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
        )
        found = Path(done.stdout.strip())
        found = found / "bin" / "python" if found.is_dir() else found
        if done.returncode == 0 and found.is_file():
            return str(found)
    pytest.skip(f"no Python {version} here")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", home, ROOT], check=True, capture_output=True, text=True)
    (found,) = home.glob("*.whl")
    return found


class Installed:
    """A fresh environment with the wheel; calls its command line in an empty folder."""

    def __init__(self, home: Path, wheel: Path, version: str, extras: str = "") -> None:
        self.home, self.bin = home, home / "env" / "bin"
        subprocess.run([python(version), "-m", "venv", home / "env"], check=True)
        wanted = f"{wheel}[{extras}]" if extras else str(wheel)
        installer = [str(self.bin / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        uv = Path(sys.executable).with_name("uv")
        if uv.exists():
            installer = [str(uv), "pip", "install", "--quiet", "--python", str(self.bin / "python")]
        done = subprocess.run([*installer, wanted, "-c", ROOT / "constraints.txt"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def __call__(self, *arguments: str, code: int = 0, **variables: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | variables
        done = subprocess.run(
            [self.bin / "qif2hw", *arguments], cwd=self.home, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, program: str) -> str:
        done = subprocess.run([self.bin / "python", "-c", program], cwd=self.home, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


def compiles_and_runs(installed: Installed, *backends: str) -> None:
    """From a model of the zoo, whose weights lie on the grid, to results."""
    where = installed.python("from qif2hw import zoo; print(zoo.model('parabola'))").strip()
    assert str(ROOT) not in where
    np.save(installed.home / "x.npy", np.linspace(-1, 1, 7)[:, None])
    installed("compile", where, "-o", "m.qif", "--steps", "256", "--rounding", "nearest", "--form", "plane")
    for backend in backends:
        installed("run", "m.qif", "--inputs", "x.npy", "-o", "out.npz", "--backend", backend)
        with np.load(installed.home / "out.npz") as out:
            assert np.abs(out["y"][:, 0] - np.linspace(-1, 1, 7) ** 2).max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    "version", ["3.10", pytest.param("3.11", marks=LONG), pytest.param("3.12", marks=LONG), "3.13"]
)
def test_without_extras_it_compiles_and_runs_and_says_what_training_needs(
    wheel: Path, tmp_path: Path, version: str
) -> None:
    installed = Installed(tmp_path, wheel, version)
    compiles_and_runs(installed, "engine")
    said = installed("train", "parabola", "-o", "m.onnx", code=2)
    assert "training needs torch, which is not installed: pip install 'qif2hw[train]'" in said


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_with_extras_it_runs_on_lava_too_and_trains(wheel: Path, tmp_path: Path, version: str) -> None:
    """Lava runs in a Python 3.10 that has the wheel with the extra ``lava`` and nothing else."""
    trains = version in ("3.10", "3.13")
    installed = Installed(tmp_path, wheel, version, f"{EXTRAS},{TRAINING}" if trains else EXTRAS)
    compiles_and_runs(installed, "engine", "reference")
    lava = Installed(tmp_path / "lava", wheel, "3.10", "lava")
    where = str(lava.bin / "python")
    installed("run", "m.qif", "--inputs", "x.npy", "-o", "lava.npz", "--backend", "lava", QIF2HW_LAVA_PYTHON=where)
    installed("run", "m.qif", "--inputs", "x.npy", "-o", "engine.npz")
    with np.load(tmp_path / "lava.npz") as found, np.load(tmp_path / "engine.npz") as wanted:
        assert np.array_equal(found["y"], wanted["y"])
    missing = {f["what"] for f in json.loads(installed("doctor", "--json"))["findings"] if f["found"] is None}
    assert not missing & {f"extra {name}" for name in EXTRAS.split(",") if name != "slayer"}
    if trains:
        rows = [f"{x:.3f},{x * x:.3f}" for x in np.linspace(-1, 1, 200)]
        (tmp_path / "data.csv").write_text("\n".join(["x,y", *rows]))
        installed("train", "data.csv", "--targets", "y", "-o", "own.onnx", "--steps", "100", "--hidden", "8,8")
        installed("compile", "own.onnx", "-o", "own.qif")
        installed("parity", "own.qif", QIF2HW_LAVA_PYTHON=where)
