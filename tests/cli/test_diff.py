"""``qif2hw diff``, and parity of a folder."""

import json
import shutil
from pathlib import Path

from cli.conftest import Caller, Kit
from networks import ordinary

import qif2hw
from qif2hw.ir import onnx_io


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
