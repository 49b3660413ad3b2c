"""NIR graphs on the command line: from the file to spikes."""

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from qif2hw import zoo
from qif2hw.ir import onnx_io


@pytest.fixture
def net(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lif = nir.LIF(*(np.full(8, value) for value in (0.02, 1.0, 0.0, 1.0)))
    graph = nir.NIRGraph.from_list(nir.Linear(rng.normal(0.5, 0.5, (8, 3))), lif, nir.Linear(rng.normal(size=(2, 8))))
    path = tmp_path / "a.nir"
    nir.write(path, graph)
    return path


def test_import_compile_run(call: Any, net: Path, tmp_path: Path) -> None:
    model, bundle, x, out = (tmp_path / name for name in ("m.onnx", "m.qif", "x.npy", "o.npz"))
    # Named otherwise, it is known by what it holds.
    hdf5 = net.rename(tmp_path / "a.h5")
    made = call("import", hdf5, "-o", model, "--time-steps", 6, "--dt", 0.004, "--json")
    assert json.loads(made.stdout) == {"model": str(model), "sizes": [3, 8, 2], "time_steps": 6}
    np.save(x, np.random.default_rng(1).uniform(0, 9, (20, 6, 3)))
    assert call("compile", model, "-o", bundle, "--calibration", x).exit_code == 0
    assert call("run", bundle, "--inputs", x, "-o", out).exit_code == 0
    with np.load(out) as found:
        assert found["y"].shape == (20, 2)
        assert found["y"].any()


def test_what_the_file_does_not_say(call: Any, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    assert "give time_steps (--time-steps)" in call.refused("import", net, "-o", out)
    assert "dt (--dt)" in call.refused("import", net, "-o", out, "--time-steps", 6)
    assert "--trial is for an npz file" in call.refused("import", net, "-o", out, "--trial", 6.5)
    assert "--inputs is for a network of lava-dl" in call.refused("import", net, "-o", out, "--inputs", "bias")
    assert "no such file" in call.refused("import", tmp_path / "none.nir", "-o", out, "--time-steps", 6)
    assert not out.exists()


@pytest.mark.parametrize("source", [zoo.model("parabola"), zoo.HOME / "parabola.qif"])
def test_event_driven_networks_go_out_and_come_back(call: Any, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    made = call("emit", source, "--to", "nir", "-o", tmp_path / "p.nir", "--json")
    assert json.loads(made.stdout) == {"output": str(tmp_path / "p.nir"), "to": "nir", "nodes": 7}
    assert call("import", tmp_path / "p.nir", "-o", out).exit_code == 0
    assert onnx_io.load(out) == zoo.network("parabola")


def test_what_is_not_written(call: Any, tmp_path: Path) -> None:
    out = tmp_path / "p.nir"
    refused = call.refused("emit", zoo.model("digits"), "--to", "nir", "-o", out)
    assert "NIR has no node for" in refused
    assert "(SteppedQIF)" in refused
    refused = call.refused("emit", zoo.model("parabola"), "--to", "nir", "-o", out, "--inputs", "x.npy")
    assert "--inputs is for --to c99" in refused
    assert not out.exists()
