"""``qif2hw diff``, and parity of a folder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.conftest import Caller, Kit
from networks import ordinary

import qif2hw
from qif2hw.ir import onnx_io
from qif2hw.ir.host_part.host import Host, Input, Output


def without_seconds(values: Any) -> Any:
    """Plain values without how long things took."""
    if isinstance(values, dict):
        return {key: without_seconds(value) for key, value in values.items() if key != "seconds"}
    return [without_seconds(value) for value in values] if isinstance(values, list) else values


def test_diff(call: Caller, kit: Kit, tmp_path: Path) -> None:
    same = call("diff", kit.bundle, kit.bundle)
    assert same.exit_code == 0
    assert "program   the same" in same.output
    other = tmp_path / "n.qif"
    qif2hw.compile(onnx_io.load(kit.model), steps=128).save(other)
    found = call("diff", kit.bundle, other, "--json")
    assert found.exit_code == 1
    numbers = json.loads(found.stdout)
    assert numbers["options"] == {"steps": [256, 128]}
    assert numbers["same_network"]
    assert not numbers["same_program"]
    assert 0 < numbers["result"]["relative"] < 0.1
    assert call("diff", kit.bundle, other, "--within", 0.1).exit_code == 0
    assert call("diff", kit.bundle, other, "--inputs", kit.inputs).exit_code == 1
    assert "--within" in call.refused("diff", kit.bundle, other, "--within", "-1")


def test_parity_of_a_folder(call: Caller, kit: Kit, tmp_path: Path) -> None:
    assert "no bundle" in call.refused("parity", tmp_path)
    (tmp_path / "deep").mkdir()
    shutil.copy(kit.bundle, tmp_path / "a.qif")
    shutil.copy(kit.bundle, tmp_path / "deep" / "b.qif")
    backends = ("--backends", "reference,engine")
    found = call("parity", tmp_path, *backends, "--json", tmp_path / "p.json")
    assert found.exit_code == 0, found.output
    numbers = json.loads((tmp_path / "p.json").read_text())
    assert list(numbers["bundles"]) == ["a.qif", "deep/b.qif"]
    assert numbers["ok"]
    broken = call("parity", tmp_path, *backends, "--rms", 1e-9)
    assert broken.exit_code == 1
    assert "PARITY IS BROKEN (2 bundles)" in broken.output
    assert "--inputs" in call.refused("parity", tmp_path, *backends, "--inputs", kit.inputs)
    assert "none of the backends reference, engine has an option 'mode'" in call.refused(
        "parity", tmp_path, *backends, "--mode", "fused"
    )
    assert "'dask' need the address" in call.refused("parity", tmp_path, *backends, "--workers", "dask")


def test_parity_of_a_folder_in_shards_and_of_classifiers(call: Caller, kit: Kit, tmp_path: Path) -> None:
    """Every option of one bundle that is not about its inputs is one of each."""
    shutil.copy(kit.bundle, tmp_path / "a.qif")
    columns = tuple(Input(f"x{k}", -1.0, 3.0) for k in range(2))
    host = Host(columns, (Output("y0"), Output("y1")), classes=("a", "b"))
    network = replace(ordinary((2, 4, 4), 4), host=host)
    qif2hw.compile(network, steps=8, payload_bits=0, rounding="nearest").save(tmp_path / "b.qif")
    backends = ("--backends", "reference,engine", "--rms", 1000, "--result", 1000, "--tolerance", 1000)
    one = json.loads(call("parity", tmp_path, *backends, "--classes", 1, "--json").stdout)
    two = json.loads(call("parity", tmp_path, *backends, "--classes", 1, "--jobs", 2, "--json").stdout)
    assert one["ok"]
    assert without_seconds(one) == without_seconds(two)
    strict = call("parity", tmp_path, *backends, "--classes", 0.5)
    assert strict.exit_code == 1
    assert "b.qif" in strict.output


def test_parity_of_a_bundle_that_is_a_folder(call: Caller, kit: Kit, tmp_path: Path) -> None:
    folder = tmp_path / "m.qif"
    folder.mkdir()
    qif2hw.load(kit.bundle).save(folder)
    backends = ("--backends", "reference,engine")
    found = call("parity", folder, *backends, "--inputs", kit.inputs)
    assert found.exit_code == 0, found.output
    assert "Bundles" not in found.output
    assert list(json.loads(call("parity", tmp_path, *backends, "--json").stdout)["bundles"]) == ["m.qif"]


def test_explain(call: Caller, kit: Kit, tmp_path: Path) -> None:
    page, numbers = tmp_path / "r.html", tmp_path / "p.json"
    backends = ("--backends", "reference,engine", "--inputs", kit.inputs)
    shown = call("parity", kit.bundle, *backends, "--explain", 3, "--report", page, "--json", numbers)
    assert shown.exit_code == 0, shown.output
    assert "Sample 3: how the error came about" in " ".join(shown.output.split())
    assert "rounding of weights changes the results by" in shown.output
    found = json.loads(numbers.read_text())["explained"]
    assert found["sample"] == 3
    assert found["chain"][-1]["population"] == "output"
    assert page.read_text().count("<details>") == 8
    assert "--explain 20" in call.refused("parity", kit.bundle, *backends, "--explain", 20)


def test_prove(call: Caller, kit: Kit, tmp_path: Path) -> None:
    assert "a domain of 3 inputs" in call.refused("prove", kit.bundle)
    one = tmp_path / "one.qif"
    qif2hw.compile(ordinary((1, 4, 2), 1), steps=64, payload_bits=2, rounding="nearest").save(one)
    state = tmp_path / "s.json"
    part = json.loads(call("prove", one, "--cells", 10, "--state", state, "--json").stdout)
    assert part["tried"] == 10
    found = call("prove", one, "--state", state)
    assert found.exit_code == 0, found.output
    assert "100 % proven" in found.output
