"""``qif2hw conformance``: the kit and the check from the command line; and ``qif2hw inspect`` of both targets."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from qif2hw import zoo


@pytest.fixture(scope="module")
def folder(call: Any, kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("conformance") / "kit"
    shown = call("conformance", kit.bundle, "-o", made)
    assert shown.exit_code == 0
    assert f"qif2hw conformance check {made} RESULTS" in shown.stdout
    return made


def golden(folder: Path, results: Path) -> None:
    for name in ("traces.csv", "spikes.csv", "outputs.csv", "counters.json"):
        shutil.copy(folder / f"golden_{name}", results / name)


def test_equal_and_different(call: Any, folder: Path, tmp_path: Path) -> None:
    golden(folder, tmp_path)
    (tmp_path / "counters.json").unlink()
    done = call("conformance", "check", folder, tmp_path)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "equal"
    assert "counters  not checked: no file" in done.stdout
    lines = (tmp_path / "spikes.csv").read_text().splitlines()
    (tmp_path / "spikes.csv").write_text("\n".join(lines[:-1]))
    done = call("conformance", "check", folder, tmp_path)
    assert done.exit_code == 1
    assert "first difference: sample " in done.stdout
    facts = json.loads(call("conformance", "check", folder, tmp_path, "--json").stdout)
    assert (facts["ok"], facts["missing"]) == (False, ["counters"])
    assert facts["first_difference"] == facts["parts"]["spikes"]["difference"]


def test_json_and_replacing(call: Any, kit: Any, folder: Path) -> None:
    facts = json.loads(call("conformance", kit.bundle, "-o", folder, "--json").stdout)
    assert set(facts["files"]) == {path.name for path in folder.iterdir()}


def test_wrong_calls(call: Any, kit: Any, folder: Path, tmp_path: Path) -> None:
    assert "give a bundle and -o DIR, or check DIR RESULTS" in call.refused("conformance", kit.bundle)
    assert "give a bundle and -o DIR" in call.refused("conformance", kit.bundle, folder, "-o", tmp_path / "k")
    assert "two folders are needed" in call.refused("conformance", "check", folder)
    assert "no folder of results" in call.refused("conformance", "check", folder, tmp_path / "none")
    (tmp_path / "other").write_text("")
    assert "cannot be replaced" in call.refused("conformance", kit.bundle, "-o", tmp_path)


def test_inspect_answers_for_both_targets(call: Any) -> None:
    done = call("inspect", zoo.HOME / "poisson_pinn.qif", "--json")
    found = json.loads(done.stdout)["targets"]
    assert found["loihi2"] == {"fits": True, "limits": [], "reasons": []}
    assert not found["loihi2-microcode"]["fits"]
    assert "table_bytes, inferred" in found["loihi2-microcode"]["limits"]
    shown = call("inspect", zoo.HOME / "poisson_pinn.qif", "--target", "loihi2-microcode")
    assert shown.exit_code == 1
    assert "(table_bytes, inferred)" in shown.stdout
    shown = call("inspect", zoo.HOME / "poisson_pinn-microcode.qif")
    assert shown.exit_code == 0
    assert "target    loihi2: fits" in shown.stdout
    assert "target    loihi2-microcode: fits" in shown.stdout
    assert "product_bits, inferred" in shown.stdout
