"""The files of docs/examples: short, as the pages say, and their results within stated errors."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import qif2hw

sys.path.insert(0, str(Path(__file__).parent))
from pages import ROOT

HOME = ROOT / "docs" / "examples"
WORKED = {"heat": "HEAT", "lotka_volterra": "PREY"}
KEPT = [path.stem for path in HOME.glob("*.onnx")]
"""Those whose trained network is kept beside them."""
FLOAT, ENGINE = 0.01, 0.02
"""Largest relative errors against scipy's solver."""


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", HOME / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(HOME.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_shown(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    limit = 40 if path.stem in WORKED else 60
    assert len(lines) < limit
    assert f'--8<-- "docs/examples/{path.name}"' in (ROOT / "docs" / "examples.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
def test_kept_solutions_against_scipy(name: str) -> None:
    """What the file of that name trained: float, on the engine, and every spike in parity."""
    task = getattr(example(name), WORKED[name])
    bundle = qif2hw.compile(HOME / f"{name}.onnx", steps=512)
    test = task.test_set()
    x = task.raw(test.x)
    for backend, most in (("reference", FLOAT), ("engine", ENGINE)):
        errors = task.errors(bundle.run(x, backend).y, test.y)
        assert max(e.relative for e in errors.values()) < most, backend
    assert qif2hw.parity.check(bundle, x[::100]).ok


@pytest.mark.lava
@pytest.mark.parametrize("name", KEPT)
def test_kept_solutions_on_lava(name: str) -> None:
    bundle = qif2hw.compile(HOME / f"{name}.onnx", steps=128)
    task = getattr(example(name), WORKED[name])
    x = task.raw(task.test_set().x)[::150]
    assert qif2hw.parity.check(bundle, x, backends=("engine", "lava")).ok


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WORKED)
def test_the_equations_are_solved_anew(name: str) -> None:
    from qif2hw.train import train

    task = getattr(example(name), WORKED[name])
    trained = train(task)
    assert trained.error < FLOAT
    engine = qif2hw.compile(trained.network, steps=512).run(trained.x)
    assert max(e.relative for e in task.errors(engine.y, trained.truth).values()) < ENGINE


@pytest.mark.slow
def test_a_csv_becomes_a_calibrated_sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the example's steps."""
    monkeypatch.chdir(tmp_path)
    truth, engine, errors = example("regression").main(steps=200)
    assert engine.shape == truth.shape == (90, 1)
    assert errors["float"] < 0.1 * truth.std()
    assert abs(errors["engine"] - errors["float"]) < 0.02 * truth.std()


@pytest.mark.slow
def test_wines_are_told_apart_by_the_first_spike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    times, truth, accuracies = example("classification").main(steps=200)
    assert times.shape == (len(truth), 3)
    assert accuracies["engine"] == (times.argmin(axis=1) == truth).mean() > 0.85
    assert abs(accuracies["engine"] - accuracies["float"]) < 0.04


@pytest.mark.slow
def test_slayers_network_spikes_the_same_on_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the example's epochs."""
    pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")
    monkeypatch.chdir(tmp_path)
    accuracy, engine, slayers = example("slayer").main(epochs=2)
    assert accuracy > 0.7
    assert (engine == slayers).all()
    assert 0.01 < engine.mean() < 0.9


def test_steps_are_chosen_by_their_error() -> None:
    chosen, found = example("steps").main(choices=(64, 256))
    assert chosen in found
    assert found[64][0] > found[256][0]
    assert found[256][0] < 0.005
    assert found[64][1][0] < found[256][1][0]


@pytest.mark.slow
def test_the_own_module_learns_and_reaches_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the example's steps."""
    monkeypatch.chdir(tmp_path)
    errors = example("own_module").main(steps=150)
    assert errors["float"] < 0.2
    assert abs(errors["engine"] - errors["float"]) < 0.05


@pytest.mark.slow
def test_the_operator_learns_and_reaches_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the example's steps."""
    monkeypatch.chdir(tmp_path)
    errors = example("antiderivative").main(steps=500)
    assert errors["float"] < 0.08
    assert abs(errors["engine"] - errors["float"]) < 0.05
