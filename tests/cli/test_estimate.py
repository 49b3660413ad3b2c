"""``qif2hw estimate``, and its section in inspect and in the report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import stepped_images

import qif2hw
from qif2hw.estimate import COUNTERS, DISCLAIMER, loihi1

LEAST = {"neuron_updates", "synaptic_operations", "spikes"}


def test_the_contract(call: Any, kit: Any) -> None:
    facts = json.loads(call("estimate", kit.bundle, "--inputs", kit.inputs, "--json").stdout)
    assert facts["samples"] == 20
    assert facts["counts"].keys() >= LEAST
    assert facts["counts"]["neuron_updates"] == 13 * qif2hw.load(kit.bundle).program.steps
    assert [{*core} >= {*COUNTERS, "population"} for core in facts["by_core"]] == [True] * facts["cores"]
    for name in ("syn_ops", "axon_out", "spikes_in"):
        assert sum(core[name] for core in facts["by_core"]) > 0
    assert facts["energy_j"].keys() == {"dynamic", "rails", "board"}
    for low, high in (facts["latency_s"], *facts["energy_j"].values()):
        assert 0 < low < high
    assert all(source.keys() == {"value", "unit", "status", "source"} for source in facts["sources"].values())
    assert facts["neurobench"].keys() >= {"footprint", "connection_sparsity", "activation_sparsity", "effective_acs"}
    assert DISCLAIMER in facts["notes"]


def test_words(call: Any, kit: Any) -> None:
    shown = call("estimate", kit.bundle).stdout
    expected = ["on the chip's rails", "on the board", "dynamic part", "neuron updates", "synaptic operations"]
    expected += [
        "Counters of each core",
        "dendrite_updates",
        "Rates of Intel Loihi 2",
        "second-hand",
        "scaled",
        DISCLAIMER,
    ]
    for words in expected:
        assert words in " ".join(shown.split()), words


def test_neurons_per_core_and_samples_in_flight(call: Any, kit: Any, tmp_path: Path) -> None:
    def told(*options: Any) -> dict[str, Any]:
        return json.loads(call("estimate", kit.bundle, *options, "--json").stdout)

    whole, spread = told(), told("--neurons-per-core", 2)
    assert (whole["cores"], whole["fullest_core"]) == (3, 6)
    assert (spread["cores"], spread["fullest_core"]) == (3 + 3 + 1, 2)
    assert spread["latency_s"][1] < whole["latency_s"][1]
    assert spread["counts"]["synaptic_operations"] == whole["counts"]["synaptic_operations"]
    assert spread["counts"]["axon_messages"] > whole["counts"]["axon_messages"]
    four = told("--in-flight", 4)
    assert four["energy_j"]["dynamic"] == whole["energy_j"]["dynamic"]
    assert four["energy_j"]["rails"][0] < whole["energy_j"]["rails"][0]
    assert four["latency_s"] == whole["latency_s"]
    assert "43 samples in flight need 129 cores, the target 'loihi2' has 128: 42 fit" in call.refused(
        "estimate", kit.bundle, "--in-flight", 43
    )
    assert "0 samples in flight" in call.refused("estimate", kit.bundle, "--in-flight", 0)
    assert "0 neurons per core" in call.refused("estimate", kit.bundle, "--neurons-per-core", 0)
    assert "no rates 'moon'" in call.refused("estimate", kit.bundle, "--rates", "moon")
    assert "no target 'moon'" in call.refused("estimate", kit.bundle, "--target", "moon")
    assert "y.npy" in call.refused("estimate", kit.bundle, "--inputs", tmp_path / "y.npy")


def test_other_targets(call: Any, kit: Any, tmp_path: Path) -> None:
    facts = json.loads(call("estimate", kit.bundle, "--target", "unconstrained", "--json").stdout)
    assert facts["latency_s"] is facts["energy_j"] is None
    assert facts["counts"].keys() >= LEAST
    facts = json.loads(call("estimate", kit.bundle, "--target", "unconstrained", "--rates", "loihi2", "--json").stdout)
    assert facts["latency_s"][0] > 0
    chip = tmp_path / "chip.toml"
    limits = {"cores": 2, "neurons_per_core": 4}
    text = "".join(f'[limits.{name}]\nvalue = {value}\nsource = "me"\n' for name, value in limits.items())
    chip.write_text('[target]\nname = "small"\ntitle = "small"\n' + text)
    facts = json.loads(call("estimate", kit.bundle, "--target", chip, "--rates", "loihi2", "--json").stdout)
    assert (facts["cores"], facts["chips"]) == (2 + 2 + 1, 3)
    assert any("messages between chips" in note for note in facts["notes"])
    chip.write_text(chip.read_text() + '[limits.memory_per_core_bytes]\nvalue = 30\nsource = "me"\n')
    assert "does not fit the target 'small', population 'hidden1'" in call.refused(
        "estimate", kit.bundle, "--target", chip
    )
    shown = call("inspect", kit.bundle, "--target", chip)
    assert shown.exit_code == 1
    assert "estimate  none: the network does not fit" in shown.stdout
    assert json.loads(call("inspect", kit.bundle, "--target", chip, "--json").stdout)["estimate"] is None


def test_time_steps(call: Any, tmp_path: Path) -> None:
    x, out = np.random.default_rng(0).normal(size=(6, 2, 8, 8)), tmp_path / "m.qif"
    qif2hw.compile(stepped_images(), calibration=x).save(out)
    facts = json.loads(call("estimate", out, "--json").stdout)
    assert facts["steps"] == 4 + 3
    # A convolution is more synapses than neurons: the model has no term for them, and it is said.
    assert any("synapses have no term" in note for note in facts["notes"])


def test_inspect_and_the_report_show_it(call: Any, kit: Any, tmp_path: Path) -> None:
    shown = call("inspect", kit.bundle)
    assert shown.exit_code == 0
    assert DISCLAIMER in shown.stdout
    facts = json.loads(call("inspect", kit.bundle, "--json").stdout)
    assert facts["estimate"] == {
        key: value
        for key, value in json.loads(call("estimate", kit.bundle, "--json").stdout).items()
        if key != "bundle"
    }
    report = tmp_path / "r.html"
    assert call("parity", kit.bundle, "--backends", "reference,engine", "--report", report).exit_code == 0
    page = report.read_text()
    for words in (
        "Estimate for loihi2",
        DISCLAIMER.replace("an estimate", "An estimate"),
        "dendrite_updates",
        "scaled",
    ):
        assert words in page, words


def test_sanafe_is_labelled_or_missed(call: Any, kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if loihi1.find_spec("sanafe") is not None:
        facts = json.loads(call("estimate", kit.bundle, "--sanafe", "--json").stdout)
        assert facts["sanafe_loihi1"]["label"] == loihi1.LABEL
        assert "Loihi 1 (the first Loihi), not Loihi 2" in call("estimate", kit.bundle, "--sanafe").stdout
    assert "sanafe" not in json.loads(call("estimate", kit.bundle, "--json").stdout)
    monkeypatch.setattr(loihi1, "find_spec", lambda _: None)
    assert "SANA-FE is not installed" in call.refused("estimate", kit.bundle, "--sanafe")


def test_it_needs_neither_torch_nor_lava(kit: Any) -> None:
    code = (
        "import sys; from qif2hw.api import estimate; "
        f"estimate({str(kit.bundle)!r}); print(*{{'torch', 'lava', 'sanafe'}} & {{*sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
