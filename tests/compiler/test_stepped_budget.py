"""The error budget of stepped networks: each cause alone where the others are absent, and the whole."""

from dataclasses import replace

import numpy as np
import pytest
from networks import stepped_images, whole_images

from qif2hw.compiler import SteppedOptions, compile_network
from qif2hw.compiler.stepped import budget
from qif2hw.compiler.stepped.budget import CAUSES, measure, whole, with_weights_of
from qif2hw.engine import stepped as engine
from qif2hw.ir.changes import spike_changes, together
from qif2hw.reference import stepped as reference

X = np.random.default_rng(1).normal(0.3, 1, (90, 2, 8, 8))
FOUR = SteppedOptions(weight_bits=4, rounding="nearest")


def test_the_whole_is_engine_against_reference() -> None:
    network = stepped_images()
    made = compile_network(network, FOUR, X)
    found = made.report["budget"]
    exact, run = reference.run(network, X), engine.run(made.program, X)
    changes = spike_changes(exact, run)
    assert found["samples"] == 90
    assert found["accuracy"] == {}
    assert found["total"]["classes"] == np.mean(exact.label != run.label) > 0.05
    assert found["total"]["spikes"] == {name: one.share for name, one in changes.items()}
    assert found["total"]["all_spikes"] == together(changes).share > 0.05
    off = np.sqrt(np.mean((run.y - exact.y) ** 2) / np.mean(exact.y**2))
    assert found["total"]["results"] == pytest.approx(off, rel=1e-12)
    # Differences of results add up, sample by sample: their sizes are a bound.
    assert list(found["causes"]) == list(CAUSES)
    assert off <= sum(cause["results"] for cause in found["causes"].values()) * (1 + 1e-12)
    assert found["causes"]["weights"]["all_spikes"] > 10 * found["causes"]["arithmetic"]["all_spikes"]


def test_each_cause_alone() -> None:
    network = stepped_images()
    x = network.check_inputs(X)
    program = compile_network(network, FOUR, X).program
    # Weights of the machine: the cause 'weights' is gone.
    kept = with_weights_of(network, program)
    found = measure(kept, program, x)
    assert found.causes["weights"] == budget.Change(0.0, {"first": 0.0, "second": 0.0}, 0.0, 0.0)
    assert found.causes["inputs"].results != 0
    assert 0 < (found.causes["inputs"].all_spikes or 0) < 0.02
    # Inputs of the machine as well: what is left is arithmetic.
    found = measure(kept, program, whole(program, x))
    assert found.causes["inputs"].results == 0
    assert 0 < (found.causes["arithmetic"].all_spikes or 0) < 0.02
    assert found.total == found.causes["arithmetic"]
    # Inputs that are much coarser change more.
    coarse = compile_network(network, replace(FOUR, input_bits=3), X).report["budget"]["causes"]["inputs"]
    fine = compile_network(network, replace(FOUR, input_bits=10), X).report["budget"]["causes"]["inputs"]
    assert coarse["all_spikes"] > 10 * fine["all_spikes"]
    assert coarse["results"] > 5 * fine["results"]


def test_integers_have_no_error() -> None:
    found = compile_network(whole_images()).report["budget"]
    for change in (*found["causes"].values(), found["total"]):
        assert change["classes"] == change["all_spikes"] == change["results"] == 0
        assert set(change["spikes"].values()) == {0.0}


def test_labels_give_accuracies() -> None:
    network = stepped_images()
    program = compile_network(network, FOUR, X).program
    exact = reference.run(network, X)
    found = measure(network, program, network.check_inputs(X), exact.label)
    assert found.accuracy["float"] == 1.0
    assert found.accuracy["weights"] == 1 - found.causes["weights"].classes
    assert found.accuracy["arithmetic"] == 1 - found.total.classes


def test_spikes_where_there_were_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of nothing is none, in numbers that JSON has; few samples where many cost too much."""
    network = stepped_images()
    silent = replace(
        network,
        populations=tuple(replace(p, bias=p.bias - 30) if p.spiking else p for p in network.populations),
    )
    made = compile_network(silent, FOUR, X)
    x = silent.check_inputs(X)
    assert measure(silent, made.program, x).total.all_spikes == 0
    loud = compile_network(network, FOUR, X).program
    assert measure(silent, loud, x).causes["weights"].all_spikes is None
    monkeypatch.setattr(budget, "MOST_SPIKES", 7 * 4 * (6 * 64 + 6 * 16 + 5))
    assert compile_network(network, FOUR, X).report["budget"]["samples"] == 7
    monkeypatch.setattr(budget, "MOST_UPDATES", 1)
    assert compile_network(network, FOUR, X).report["budget"]["samples"] == 1
