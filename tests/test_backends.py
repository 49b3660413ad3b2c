"""Backends by entry point: those of this distribution, and one that a third party adds."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from networks import ordinary

import qif2hw
from qif2hw import backends
from qif2hw.errors import BackendError, InputError

# The engine with all spikes later by some ticks, where it is asked to be late.
_CHIP = """
from dataclasses import replace
from qif2hw import engine
from qif2hw.backends import Backend
from qif2hw.errors import BackendError
from qif2hw.ir import MachineOutput

def run(program, x, ticks=0, progress=None):
    if ticks < 0:
        raise BackendError("the board does not answer")
    found = engine.run(program, x)
    if progress is not None:
        progress(program.steps, program.steps)
    m = found.machine
    return replace(found, backend="toychip", machine=MachineOutput(m.step, m.lateness + ticks, m.flush))

CHIP = Backend("toychip", "a chip made of paper", "program", run, exact=True, options=("ticks", "progress"))
WRONG = Backend("another", "", "program", run)
"""


def install(folder: Path, distribution: str, entries: str, **modules: str) -> Path:
    """Put a distribution into a folder as pip would: its modules, its metadata."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    metadata = folder / f"{distribution}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[qif2hw.backends]\n{entries}\n")
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    backends.get.cache_clear()
    yield folder
    for module in ("toychip", "broken"):
        sys.modules.pop(module, None)
    backends.get.cache_clear()


@pytest.fixture(scope="module")
def bundle() -> qif2hw.Bundle:
    return qif2hw.compile(ordinary((2, 4, 2)), steps=64, table_bits=5, rounding="nearest")


X = np.random.default_rng(0).random((7, 2))


def test_those_of_this_distribution() -> None:
    assert backends.names()[:4] == ("engine", "lava", "loihi2", "reference")
    for name in backends.names():
        assert backends.get(name).name == name
    assert [backend.name for backend in backends.in_parity()] == ["reference", "engine", "lava"]


def test_a_third_party_adds_one(site: Path, bundle: qif2hw.Bundle, tmp_path: Path) -> None:
    install(site, "toy", "toychip = toychip:CHIP", toychip=_CHIP)
    assert backends.names()[4:] == ("toychip",)
    path = bundle.save(tmp_path / "m.qif")
    expected = bundle.run(X)
    steps: list[tuple[int, int]] = []
    for run in (
        bundle.run(X, "toychip"),
        qif2hw.run(path, X, "toychip", progress=lambda done, total: steps.append((done, total))),
    ):
        assert run.machine == expected.machine
        assert run.backend == "toychip"
    assert steps == [(bundle.program.steps, bundle.program.steps)]
    late = bundle.run(X, "toychip", ticks=3)
    assert late.machine is not None
    assert expected.machine is not None
    np.testing.assert_array_equal(late.machine.lateness, expected.machine.lateness + 3)
    report = qif2hw.parity.check(bundle, X, backends=["reference", "engine", "toychip"])
    assert report.ok
    assert report.identical == ("toychip",)
    broken = qif2hw.parity.check(bundle, X, backends=["toychip", "engine"], ticks=1)
    assert [v.backend for v in broken.verdicts if not v.ok] == ["engine"]
    with pytest.raises(InputError, match="backend 'toychip' has no option 'mode': its options are ticks"):
        bundle.run(X, "toychip", mode="fused")
    with pytest.raises(BackendError, match="does not answer"):
        bundle.run(X, "toychip", ticks=-1)


def command(site: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-c", "from qif2hw_cli.main import main; main()", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(program, capture_output=True, text=True, env=environment)


def test_on_the_command_line(site: Path, bundle: qif2hw.Bundle, tmp_path: Path) -> None:
    install(site, "toy", "toychip = toychip:CHIP", toychip=_CHIP)
    path, x, out = bundle.save(tmp_path / "m.qif"), tmp_path / "x.npy", tmp_path / "out.npz"
    np.save(x, X)
    done = command(site, "run", path, "--inputs", x, "-o", out, "--backend", "toychip", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["backend"] == "toychip"
    np.testing.assert_array_equal(np.load(out)["y"], bundle.run(X).y)
    done = command(site, "parity", path, "--inputs", x, "--backends", "reference,engine,toychip", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["backends"] == ["reference", "engine", "toychip"]
    assert "toychip" in command(site, "run", "--help").stdout


@pytest.mark.parametrize(
    ("entry", "text", "message"),
    [
        (
            "broken:CHIP",
            "import nowhere",
            r"backend 'broken' of the distribution 'toy' cannot be loaded "
            r"\(ModuleNotFoundError: No module named 'nowhere'\)",
        ),
        ("broken:CHIP", "CHIP = 1 / 0", r"'toy' cannot be loaded \(ZeroDivisionError"),
        ("broken:ABSENT", "", r"'toy' cannot be loaded \(AttributeError"),
        ("broken:CHIP", "CHIP = 5", r"'toy': broken:CHIP is not a qif2hw.backends.Backend named 'broken'"),
        ("broken:WRONG", _CHIP, r"'toy': broken:WRONG is not a qif2hw.backends.Backend named 'broken'"),
    ],
)
def test_one_that_cannot_be_loaded(site: Path, bundle: qif2hw.Bundle, entry: str, text: str, message: str) -> None:
    install(site, "toy", f"broken = {entry}", broken=text)
    with pytest.raises(InputError, match=message) as caught:
        bundle.run(X, "broken")
    assert "\n" not in str(caught.value)
    assert bundle.run(X).backend == "engine"


def test_a_name_that_two_distributions_offer(site: Path, bundle: qif2hw.Bundle) -> None:
    install(site, "toy", "toychip = toychip:CHIP", toychip=_CHIP)
    install(site, "copy", "toychip = toychip:CHIP")
    with pytest.raises(InputError, match="'toychip' is offered by two distributions, 'copy' and 'toy'"):
        bundle.run(X, "toychip")


def test_a_checkout_that_is_not_installed(site: Path, bundle: qif2hw.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "toy", "toychip = toychip:CHIP", toychip=_CHIP)
    monkeypatch.setattr(sys, "path", [str(site)])
    with pytest.raises(InputError, match=r"known are toychip \(those of qif2hw .* installed: pip install -e \. in"):
        bundle.run(X)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(InputError, match=r"unknown backend 'engine': known are none \(.*pip install -e"):
        bundle.run(X)
