"""Networks with a stepped clock on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import stepped_images

from qif2hw import bundle as bundles
from qif2hw import data
from qif2hw.ir import onnx_io
from qif2hw.reference import stepped as reference

X = np.random.default_rng(1).normal(0.3, 1, (30, 2, 8, 8))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("stepped")
    np.save(home / "x.npy", X)
    return onnx_io.save(stepped_images(), home / "m.onnx")


def test_compile_and_run(call: Any, model: Path, tmp_path: Path) -> None:
    x, bundle, out = model.parent / "x.npy", tmp_path / "m.qif", tmp_path / "o.npz"
    made = call("compile", model, "-o", bundle, "--calibration", x, "--weight-bits", 6, "--json")
    assert made.exit_code == 0
    facts = json.loads(made.stdout)
    assert facts["options"]["weight_bits"] == 6
    assert set(facts["report"]["ranges"]["populations"]) == {"first", "second", "scores"}
    assert isinstance(bundles.load_any(bundle), bundles.SteppedBundle)
    for backend, least in (("engine", 0.8), ("reference", 1.0)):
        ran = call("run", bundle, "--inputs", x, "-o", out, "--backend", backend, "--json")
        assert ran.exit_code == 0
        assert json.loads(ran.stdout)["samples"] == 30
        with np.load(out) as found:
            exact = reference.run(stepped_images(), X)
            assert found["y"].shape == (30, 5)
            assert (found["label"] == exact.label).mean() >= least


def test_what_is_for_the_other_clock_is_refused(call: Any, kit: Any, model: Path, tmp_path: Path) -> None:
    x, out = model.parent / "x.npy", tmp_path / "m.qif"
    assert "--steps: it is an option for an event-driven network" in call.refused(
        "compile", model, "-o", out, "--calibration", x, "--steps", 256
    )
    assert "--thresholds: it is an option for a network with a stepped clock" in call.refused(
        "compile", kit.model, "-o", out, "--thresholds", "layer"
    )
    assert "--max-error: it is an option for an event-driven network" in call.refused(
        "compile", model, "-o", out, "--calibration", x, "--max-error", 0.1
    )
    assert "needs calibration inputs" in call.refused("compile", model, "-o", out)
    wrong = "weight bits = 8/6: 2 numbers for 4 projections"
    assert wrong in call.refused("compile", model, "-o", out, "--calibration", x, "--weight-bits", "8/6")
    assert "inputs have shape (20, 3)" in call.refused("compile", model, "-o", out, "--calibration", kit.inputs)
    assert not out.exists()
    assert call("compile", model, "-o", out, "--calibration", x).exit_code == 0
    assert "backend 'loihi2'" in call.refused(
        "run", out, "--inputs", x, "-o", tmp_path / "o.npz", "--backend", "loihi2"
    )
    assert "--rms: it is an option for an event-driven network" in call.refused("parity", out, "--rms", 0.1)
    assert "--spikes: it is an option for a network with a stepped clock" in call.refused(
        "parity", kit.bundle, "--spikes", 1
    )
    assert "they belong to inputs" in call.refused("parity", out, "--labels", x, "--backends", "reference,engine")
    assert "(30,), are needed" in call.refused("parity", out, "--inputs", x, "--labels", x)
    assert not (tmp_path / "o.npz").exists()


def test_parity(call: Any, model: Path, tmp_path: Path) -> None:
    x, y, out = model.parent / "x.npy", tmp_path / "y.npy", tmp_path / "m.qif"
    np.save(y, reference.run(stepped_images(), X).label)
    assert call("compile", model, "-o", out, "--calibration", x).exit_code == 0
    page, numbers = tmp_path / "r.html", tmp_path / "r.json"
    wide = ("--classes", 0.2, "--spikes", 0.2, "--backends", "reference,engine")
    shown = call("parity", out, "--inputs", x, "--labels", y, *wide, "--report", page, "--json", numbers)
    assert shown.exit_code == 0
    for words in ("parity holds", "Where the error comes from", "accuracy after it"):
        assert words in shown.stdout, words
    assert "parity holds" in page.read_text()
    facts = json.loads(numbers.read_text())
    assert facts["ok"]
    assert facts["samples"] == 30
    assert facts["accuracy"]["reference"] == 1.0
    assert 0.8 < facts["accuracy"]["engine"] == facts["changes"][0]["class_agreement"]
    golden = call("parity", out, *wide[2:], "--spikes", 1e-5, "--json")
    assert golden.exit_code == 1
    facts = json.loads(golden.stdout)
    assert facts["samples"] == 17
    assert not facts["ok"]


def test_inspect(call: Any, model: Path, tmp_path: Path) -> None:
    x, out, chip = model.parent / "x.npy", tmp_path / "m.qif", tmp_path / "chip.toml"
    chip.write_text(
        '[target]\nname = "small"\ntitle = "small"\n[limits.cores]\nvalue = 2\nsource = "me"\n'
        '[limits.neurons_per_core]\nvalue = 100\nsource = "me"\n'
    )
    assert call("compile", model, "-o", out, "--calibration", x, "--thresholds", "layer").exit_code == 0
    shown = call("inspect", out)
    assert shown.exit_code == 0
    for words in ("6 x 8 x 8", "conv 4x4 stride 2", "conv 2x2 stride 2", "all to all", "PlaneStep",
                  "synaptic operations", "the engine gives the same spikes", "Proven ranges", "3 core(s)",
                  "rounding  adapted onto", "Where the error comes from",
                  "Spikes that change, by population"):  # fmt: skip
        assert words in shown.stdout, words
    facts = json.loads(call("inspect", out, "--json").stdout)
    assert facts["time_steps"] == 4
    assert facts["layers"]["second"]["shape"] == [6, 4, 4]
    bundle = bundles.load_any(out)
    assert isinstance(bundle, bundles.SteppedBundle)
    spikes = bundle.golden.spikes["first"].sum() / len(bundle.golden.x)
    assert facts["layers"]["first"]["spikes"] == spikes
    assert facts["estimate"]["counts"]["neuron_updates"] == (6 * 64 + 6 * 16 + 5) * (4 + 3)
    assert facts["report"]["fit"]["cores"] == 3
    assert facts["report"]["budget"]["samples"] == 30
    assert set(facts["report"]["budget"]["causes"]) == {"weights", "inputs", "arithmetic"}
    assert facts["report"]["adapt-rounding"]["held"] == 7
    refused = call("inspect", out, "--target", chip)
    assert refused.exit_code == 1
    assert "does NOT fit" in refused.stdout
    # 6 channels of 64 neurons, one on a core; 6 of 16; 5 neurons.
    assert "8 cores are needed, 2 there are" in refused.stdout
    assert "4 chips in place of one" in refused.stdout


class TestTheDigits:
    def test_train_compile_and_run(self, call: Any, tmp_path: Path) -> None:
        digits = tmp_path / "m.onnx"
        made = call("train", "digits", "-o", digits, "--steps", 200, "--json")
        assert made.exit_code == 0
        facts = json.loads(made.stdout)
        assert facts["accuracy"] > 0.9
        assert (facts["neuron"], facts["time_steps"]) == ("exact", 4)
        bundle, out = tmp_path / "m.qif", tmp_path / "o.npz"
        assert call("compile", digits, "-o", bundle, "--calibration", "digits:train").exit_code == 0
        assert call("run", bundle, "--inputs", "digits:test", "-o", out).exit_code == 0
        label = data.digits().test.label
        with np.load(out) as found:
            assert (found["label"] == label).mean() > facts["accuracy"] - 0.02

    def test_options_that_are_not_for_it_are_refused(self, call: Any, tmp_path: Path) -> None:
        out = tmp_path / "m.onnx"
        assert "--regime: it is an option for a task in continuous" in call.refused(
            "train", "digits", "-o", out, "--regime", "published"
        )
        assert "--neuron: it is an option for a task in time steps" in call.refused(
            "train", "parabola", "-o", out, "--neuron", "lif"
        )
        assert "no network 'alexnet': known are small" in call.refused(
            "train", "digits", "-o", out, "--network", "alexnet"
        )
        assert "time steps = 0" in call.refused("train", "digits", "-o", out, "--time-steps", 0)
        assert "no such file or folder" in call.refused("train", "digits", "-o", out, "--data", tmp_path / "none")
        arrays = {
            f"{n}_{part}": np.zeros((3, 9, 8) if n == "x" else 3, int) for n in "xy" for part in ("train", "test")
        }
        np.savez(tmp_path / "odd.npz", **arrays)
        assert "images of 9 x 8" in call.refused("train", tmp_path / "odd.npz", "-o", out)
        assert not out.exists()
