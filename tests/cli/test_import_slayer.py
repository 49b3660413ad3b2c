"""Networks of SLAYER on the command line: from the file to spikes."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from slayer_files import write


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return write(tmp_path / "a.net")


def test_import_compile_run(call: Any, net: Path, tmp_path: Path) -> None:
    """Nothing has to be given: neither steps nor calibration inputs."""
    model, bundle = tmp_path / "m.onnx", tmp_path / "m.qif"
    made = call("import", net, "-o", model, "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout) == {"model": str(model), "sizes": [36, 32, 8, 3, 3], "time_steps": 5}
    made = call("compile", model, "-o", bundle, "--json")
    assert made.exit_code == 0
    report = json.loads(made.stdout)["report"]
    assert all(p["max_error"] == 0 for p in report["weights"]["projections"].values())
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 4, (7, 5, 1, 6, 6)))
    results = []
    for backend in ("engine", "reference"):
        out = tmp_path / f"{backend}.npz"
        assert call("run", bundle, "--inputs", tmp_path / "x.npy", "-o", out, "--backend", backend).exit_code == 0
        with np.load(out) as found:
            results.append({key: found[key] for key in found})
    assert results[0].keys() == results[1].keys()
    for key, values in results[0].items():
        assert np.array_equal(values, results[1][key]), key
    assert results[0]["y"].any()


def test_what_the_file_does_not_say(call: Any, net: Path, tmp_path: Path) -> None:
    with h5py.File(net, "a") as file:
        del file["simulation"], file["layer/0/shape"]
    out = tmp_path / "m.onnx"
    assert "how many time steps" in call.refused("import", net, "-o", out)
    assert "the shape of its input" in call.refused("import", net, "-o", out, "--time-steps", 8)
    assert "numbers with commas" in call.refused("import", net, "-o", out, "--time-steps", 8, "--input-shape", "6x6")
    assert not out.exists()
    made = call("import", net, "-o", out, "--time-steps", 8, "--input-shape", "1,6,6", "--json")
    assert json.loads(made.stdout)["time_steps"] == 8


def test_options_of_the_other_kind_are_refused(call: Any, kit: Any, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    assert "--trial is for an npz file" in call.refused("import", net, "-o", out, "--trial", 6.5)
    assert "--time-steps is for a network of lava-dl" in call.refused(
        "import", kit.weights, "-o", out, "--time-steps", 4
    )
    assert "give --trial" in call.refused("import", kit.weights, "-o", out)
    assert "give --encode" in call.refused("import", kit.weights, "-o", out, "--trial", 6.5)
    (tmp_path / "text.net").write_text("no network")
    assert "not an HDF5 file" in call.refused("import", tmp_path / "text.net", "-o", out)
    assert not out.exists()
