"""Explanations: shares against finite differences, sums against certificates, faults found where they were put."""

from dataclasses import replace

import numpy as np
import pytest
from networks import ordinary
from oracles.nets import random_layers
from parity.conftest import Case, compiled

from qif2hw import reference, zoo
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.errors import InputError
from qif2hw.parity.certificates.certificate import certify
from qif2hw.parity.certificates.explain import GROWN, _Spikes, difference_of_sample, explain
from qif2hw.parity.certificates.spike_errors import CAUSES


def test_the_chain_adds_up(case: Case) -> None:
    found = explain(case.program, case.x, 7)
    certificate = certify(case.program, case.x[7:8])
    worst = int(np.abs(certificate.first.estimate[0]).argmax())
    output = found.chain[-1]
    assert (output.population, output.neuron) == ("output", worst)
    assert output.error == pytest.approx(certificate.first.estimate[0, worst] / case.program.grid.delta)
    assert sum(found.causes.values()) == pytest.approx(output.error)
    actual = (case.engine.spike_time - case.reference.spike_time)[7, worst] / case.program.grid.delta
    assert abs(actual - output.error) <= output.remainder + 1e-9
    depth = [case.program.depth[link.population] for link in found.chain]
    assert depth == sorted(depth)
    for link in found.chain:
        assert link.arrived + sum(link.own.values()) == pytest.approx(link.error, abs=1e-12)


def test_shares_are_derivatives() -> None:
    """Of an output's spike by its input's encoded time, by central differences of the reference."""
    network = random_layers((3, 2), 1, gain=2.0)
    program = compiled(network)
    exact, x, h = program.network(), np.array([[0.2, 0.5, 0.9]]), 1e-6
    certificate = certify(program, x)
    spikes = _Spikes(program, exact, certificate, x[0])
    span = exact.encoders[0].latest - exact.encoders[0].earliest
    for i in range(2):
        shares = {one[4]: share for share, one in spikes.shares("output", i, float(certificate.run.spike_time[0, i]))}
        for j, share in shares.items():
            sides = []
            for sign in (1, -1):
                moved = x.copy()
                moved[0, j] -= sign * h / span
                sides.append(reference.run(exact, moved).spike_time[0, i])
            # The shares are those at the machine's decoded times.
            assert share == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=0.02, abs=1e-4)


def test_a_coarse_neuron_is_found(case: Case) -> None:
    """An initial phase of the machine that is a step off: the chain begins in that neuron."""
    population = case.program.populations[0]
    start = population.phase0.copy()
    certificate = certify(case.program, case.x[:1])
    busy = int(certificate.run.step_spikes["hidden1"].neuron[0])
    start[busy] += case.program.grid.increment
    moved = replace(case.program, populations=(replace(population, phase0=start), *case.program.populations[1:]))
    changed = certify(moved, case.x[:1]).run
    found = difference_of_sample(case.program, certificate.run, changed, 0)
    assert found is not None
    assert (found.population, found.neuron, found.sample) == ("hidden1", busy, 0)


def test_rounding_is_the_difference_of_the_networks(case: Case) -> None:
    found = explain(case.program, case.x, 3, source=case.network)
    change = case.reference.y[3] - reference.run(case.network, case.x[3:4]).y[0]
    both = np.array(found.rounding["weights"]) + np.array(found.rounding["initial phases"])
    np.testing.assert_allclose(both, change, rtol=0.25, atol=2e-3)
    assert set(found.to_dict()["causes"]) == set(CAUSES)


def test_where_an_error_has_grown() -> None:
    program = zoo.bundle("ripple").program
    x = np.random.default_rng(0).random((5, 2))
    certificate = certify(program, x[2:3])
    found = explain(program, x, 2)
    large = [
        (int(certificate.run.step_spikes[p.name].step[k]), p.name, int(certificate.run.step_spikes[p.name].neuron[k]))
        for p in program.populations
        for k in np.flatnonzero(np.abs(certificate.spikes[p.name].estimate) >= GROWN * program.grid.delta)
    ]
    assert (found.grown is None) == (not large)
    if found.grown is not None:
        assert found.grown[2] == min(large)[0]


def test_what_cannot_be_explained_is_refused(case: Case) -> None:
    with pytest.raises(InputError, match="sample 40 cannot be explained: there are 40"):
        explain(case.program, case.x, 40)
    with pytest.raises(InputError, match="output neuron 2 cannot be explained"):
        explain(case.program, case.x, 0, output=2)


def test_a_chain_that_begins_in_an_input_ends_there() -> None:
    """Few bits of payload round inputs too, which may bring a neuron more than what arises in it."""
    options = CompileOptions(payload_bits=2, rounding="nearest")
    program = compile_network(ordinary((1, 6, 2), 0, 3), options).program
    x = np.random.default_rng(0).random((20, 1))
    first = [explain(program, x, k).chain[0] for k in range(len(x))]
    assert {link.population for link in first} <= set(program.output_populations) | {"hidden1"}
    brought = [link for link in first if link.population == "hidden1"]
    assert any(abs(link.arrived) > max(map(abs, link.own.values())) for link in brought)
