"""Degenerate but legal networks compile; relative errors that make no sense are null, absolute ones beside them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import branched, ordinary

import qif2hw
from qif2hw.compiler.search import SearchOptions, search
from qif2hw.errors import InputError
from qif2hw.ir import Network, layered
from qif2hw.parity import check
from qif2hw.parity import report as page
from qif2hw.train import relative_l2
from qif2hw.workers.pool import Here

BASE = ordinary((2, 6, 2))
SMALLEST = float(np.nextafter(0.0, 1.0))


def weights(network: Network, change) -> Network:
    return replace(network, projections=tuple(replace(p, weight=change(p.weight)) for p in network.projections))


def readout(**values: float) -> Network:
    (output,) = BASE.outputs
    return replace(BASE, outputs=(replace(output, **{k: np.full(output.size, v) for k, v in values.items()}),))


def phases(phi0: float) -> Network:
    return replace(BASE, populations=tuple(replace(p, phi0=np.full(p.size, phi0)) for p in BASE.populations))


def layers(first: float, second: float, phi0: float, trial: float = 6.5) -> Network:
    arrays = [np.full((4, 2), first), np.full((2, 4), second)], [np.full(4, phi0), np.full(2, phi0)]
    return layered(*arrays, trial=trial, encode=(0.05, 1.95))


ALL_ZERO = {
    "weights and results zero": layers(0.0, 0.0, 3.0),
    "equal neurons": layers(0.3, 0.2, 3.0),
    "equal neurons, pseudospikes": layers(0.3, 0.2, 3.0, trial=2.0),
    "silent neurons": layers(-50.0, -50.0, 0.0, trial=2.0),
    "scale 0": readout(scale=0.0),
    "scale 1e-200": readout(scale=1e-200),
    "all neurons fire at once": phases(float(np.nextafter(BASE.populations[0].neuron.period, 0.0))),
}
"""Networks whose results are all zero, or the rounding of numbers."""
OTHERS = {
    "weights zero": weights(BASE, np.zeros_like),
    "weights of 1e-300": weights(BASE, lambda w: 1e-300 * w),
    "subnormal weights": weights(BASE, lambda w: 1e-320 * w),
    "the smallest weights": weights(BASE, lambda w: np.copysign(SMALLEST, w)),
    "one weight, the smallest": weights(
        BASE, lambda w: np.where(np.arange(w.size) == 3, SMALLEST, 0.0).reshape(w.shape)
    ),
    "weights of all sizes": weights(BASE, lambda w: w * np.logspace(-300, 0, w.size).reshape(w.shape)),
    "constant results": readout(scale=0.0, offset=1.0),
    "phases zero": phases(0.0),
    "a product, weights zero": weights(branched(), np.zeros_like),
    "one layer, weights zero": weights(ordinary((1, 2)), np.zeros_like),
}


def compiled(network: Network, **options: object) -> dict:
    """Report of a compilation whose bundle can be written, run, and judged."""
    bundle = qif2hw.compile(network, **{"steps": 128, **options})
    bundle.parts()
    outcome = check(bundle, np.random.default_rng(0).random((9, network.inputs)), backends=("reference", "engine"))
    assert outcome.ok
    json.loads(outcome.to_json(), parse_constant=pytest.fail)
    assert page.render(outcome, title="parity", facts={})
    report = bundle.report
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    return report


@pytest.mark.parametrize("name", ALL_ZERO)
def test_results_of_zero(name: str) -> None:
    report = compiled(ALL_ZERO[name])
    budget = report["budget"]
    assert {*budget["terms"].values(), budget["sum"], budget["total"]} == {None}
    assert set(budget["absolute"]) == {*budget["terms"], "sum", "total"}
    assert 0 <= budget["absolute"]["total"] < 0.01
    for section, keys in (("adapt-rounding", ("plain_error", "error")), ("compensate", ("error_before", "error"))):
        assert [report[section][key] for key in keys] == [None, None]
        assert 0 <= report[section]["absolute"] < 0.01


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(
    "options", [{}, {"rounding": "nearest", "form": "plane"}, {"weight_bits": 2, "form": "grid"}], ids=str
)
def test_other_degenerate_networks(name: str, options: dict) -> None:
    budget = compiled(OTHERS[name], **options)["budget"]
    assert budget["total"] < 0.2
    exact = qif2hw.compile(OTHERS[name], rounding="nearest", steps=64)
    size = np.sqrt(np.mean(exact.run(qif2hw.api.golden_inputs(exact.program.inputs), "reference").y ** 2))
    assert budget["absolute"]["total"] == pytest.approx(budget["total"] * size, rel=0.5, abs=1e-12)


def test_relative_errors_that_do_not_exist_are_refused_where_they_are_asked_for(tmp_path: Path) -> None:
    network = ALL_ZERO["equal neurons"]
    with pytest.raises(InputError, match="results are all zero"):
        qif2hw.compile(network, max_error=0.01)
    pytest.importorskip("optuna")
    with pytest.raises(InputError, match="results are all zero"):
        search(network, tmp_path, SearchOptions(trials=1), Here())
    assert not list(tmp_path.iterdir())


def test_results_that_overflow_are_refused() -> None:
    with pytest.raises(InputError, match=r"results may reach 6.5e\+200: use a readout scale"):
        qif2hw.compile(readout(scale=1e200))


def test_a_form_whose_constants_do_not_fit_is_not_chosen() -> None:
    network = weights(BASE, lambda w: 1e6 * w)
    report = qif2hw.compile(network, rounding="nearest").report["tables"]
    assert all("plane" not in found["tried"] for found in report["populations"].values())
    with pytest.raises(InputError, match=r"population 'hidden1', form 'plane': kick_gain = .*: use smaller weights"):
        qif2hw.compile(network, rounding="nearest", form="plane")


def test_the_relative_error_of_a_truth_of_zero() -> None:
    zero, one = np.zeros(3), np.ones(3)
    assert relative_l2(zero, zero) == 0
    assert relative_l2(one, zero) == np.inf


def driven(i0: float, phase: float) -> Network:
    """Phases as a part of the cycle."""
    neuron = replace(BASE.populations[0].neuron, i0=i0)
    populations = (replace(p, neuron=neuron, phi0=np.full(p.size, phase * neuron.period)) for p in BASE.populations)
    return replace(BASE, populations=tuple(populations))


@pytest.mark.parametrize(("i0", "phase"), [(0.26, 0.9), (0.251, 0.97)])
def test_cycles_so_long_that_spikes_are_missed_are_named(i0: float, phase: float) -> None:
    """Theta is 60 at a drive of 0.26: the trial is a tenth of it, and parity would fail."""
    network = driven(i0, phase)
    with pytest.warns(
        UserWarning, match=r"steps off \(RMS\): a cycle Theta = .* trials long.*; use a drive I0 further"
    ):
        bundle = qif2hw.compile(network, rounding="nearest", steps=512)
    x = np.random.default_rng(0).random((50, 2))
    assert not check(bundle, x, backends=("reference", "engine")).ok


@pytest.mark.parametrize(("i0", "phase"), [(0.26, 0.97), (0.3, 0.9), (30.0, 0.9)])
def test_other_cycles_are_followed(i0: float, phase: float) -> None:
    compiled(driven(i0, phase), rounding="nearest", steps=512)


def test_cycles_that_a_register_cannot_hold_are_refused() -> None:
    with pytest.raises(InputError, match="need a phase of more than 24 bits: use fewer of either"):
        qif2hw.compile(driven(0.2501, 0.9), rounding="nearest", steps=512)
