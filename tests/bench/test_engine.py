"""Speed of the integer engine: what is measured, and that it is of the network given."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from networks import ordinary

import qif2hw
from qif2hw import engine
from qif2hw.bench import engine as bench
from qif2hw_cli.main import cli


def test_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SPECIFICATION_SAMPLES", 2)
    bundle = qif2hw.compile(ordinary((1, 4, 2), 3), steps=32, form="plane", rounding="nearest")
    bundle.save(tmp_path / "small.qif")
    printed = CliRunner().invoke(
        cli, ["bench", "engine", str(tmp_path / "small.qif"), "--samples", "6", "--quick", "--json"]
    )
    assert printed.exit_code == 0, printed.output
    result = json.loads(printed.stdout)
    [row] = result["detail"]["engine"]["rows"]
    assert row["network"] == "small"
    assert (row["populations"], row["plane_vectors"], row["steps"]) == (2, 2, bundle.program.steps)
    x = bundle.program.unscaled(np.random.default_rng(0).random((6, 1)))
    assert row["spikes_per_sample"] == sum(map(len, engine.run(bundle.program, x).step_spikes.values())) / 6
    cpu = row["cpu_us"]
    assert set(cpu) == {"engine", "reference", "specification"}
    ratio = result["figures"]["engine: small, reference / engine"]
    assert ratio == {"value": pytest.approx(cpu["reference"] / cpu["engine"]), "unit": "ratio"}


def test_the_default_has_both_arithmetics() -> None:
    planes = {
        name: sum(p.ptc.__class__.__name__ == "PlaneVector" for p in bundle.program.populations)
        for name, bundle in bench.networks().items()
    }
    assert planes == {"parabola": 0, "navier_stokes_pinn": 0, "ripple": 2, "burgers_pinn": 4}


def test_equal_names(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [str(folder / "small.qif") for folder in (tmp_path, tmp_path / "other")]
    printed = CliRunner().invoke(cli, ["bench", "engine", *paths, "--quick"])
    assert printed.exit_code == 2
    assert "small: two bundles have this name" in printed.output


def test_no_samples() -> None:
    refused = CliRunner().invoke(cli, ["bench", "engine", "--samples", "0"])
    assert refused.exit_code == 2
    assert "samples = 0" in refused.stderr
