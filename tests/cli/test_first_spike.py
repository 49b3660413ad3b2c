"""The commands on a task of classification by the first spike, from training to parity."""

import json
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = [str(k) for k in range(10)]


def test_from_training_to_parity(call: Any, tmp_path: Path) -> None:
    model, out = tmp_path / "digits.onnx", tmp_path / "digits.qif"
    trained = call("train", "digits_first_spike", "-o", model, "--steps", 150)
    assert trained.exit_code == 0, trained.output
    assert "accuracy on the test set: " in trained.stdout
    assert call("compile", model, "-o", out, "--rounding", "nearest", "--steps", 128).exit_code == 0
    found = json.loads(call("inspect", out, "--json").stdout)
    assert found["classes"] == CLASSES
    assert "by the first spike" in call("inspect", out).stdout
    result = tmp_path / "out.npz"
    assert call("run", out, "--inputs", "digits_first_spike:test", "-o", result).exit_code == 0
    with np.load(result) as arrays:
        np.testing.assert_array_equal(arrays["label"], arrays["y"].argmin(axis=1))
        label = arrays["label"][:40]
    x, y, page, numbers = (tmp_path / name for name in ("x.npy", "y.npy", "r.html", "p.json"))
    np.save(x, np.random.default_rng(0).integers(0, 17, (40, 64)))
    for labels in (label, label.astype(str)):
        np.save(y, labels)
        options = ("--inputs", x, "--labels", y, "--backends", "reference,engine", "--rms", 9, "--tolerance", 99)
        shown = call("parity", out, *options, "--report", page, "--json", numbers)
        assert "in another class than the reference" in shown.stdout
        assert json.loads(numbers.read_text())["classes"]["accuracy"]["engine"] is not None
        assert "is, taken for" in page.read_text()
    for labels, message in (
        (label + 5, "the network has classes 0 to 9"),
        (label / 2, "whole numbers or names of classes"),
        (label[:7], "(40,), are needed"),
        (np.full(40, "ten"), "label 'ten': the network has the classes 0, 1, 2"),
    ):
        np.save(y, labels)
        assert message in call.refused("parity", out, "--inputs", x, "--labels", y, "--backends", "reference,engine")
    assert "they belong to inputs" in call.refused("parity", out, "--labels", y, "--backends", "reference,engine")


def test_what_is_refused(call: Any, kit: Any, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    train = ("train", "digits_first_spike", "-o", model)
    assert "no published regime" in call.refused(*train, "--regime", "published")
    assert "receptive fields are for coordinates" in call.refused(*train, "--fields", 4)
    assert "--time-steps" in call.refused(*train, "--time-steps", 4)
    assert "no such file or folder" in call.refused(*train, "--data", tmp_path / "nothing")
    for option, value in (("--labels", kit.inputs), ("--classes", 0.1)):
        assert "for a classifier" in call.refused("parity", kit.bundle, option, value)
