"""The check passes what is right, and fails what is not."""

import json
from dataclasses import dataclass, replace

import networks
import numpy as np
import pytest
from oracles.nets import random_layers
from parity.conftest import Case, compiled, prepared

from qif2hw import reference
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program, Run, Spikes
from qif2hw.parity import Bounds, ParityReport, check


def failed(report: ParityReport) -> list[tuple[str, str]]:
    return [(v.backend, v.quantity) for v in report.verdicts if not v.ok]


def later(run: Run, shift: float) -> Run:
    spikes = {name: Spikes(s.sample, s.neuron, s.time + shift) for name, s in run.spikes.items()}
    return replace(run, spikes=spikes, spike_time=run.spike_time + shift)


def test_the_machine_holds_its_bounds(case: Case) -> None:
    report = check(case.program, case.x, source=case.network)
    assert report.ok, report.verdicts
    (timing,) = report.timing
    assert [p.population for p in timing.populations] == ["hidden1", "hidden2", "output"]
    for row in timing.populations:
        assert row.matched == row.spikes > 0
        assert 0 < row.rms <= row.largest < 0.5 * report.delta
        np.testing.assert_array_equal(row.neurons.spikes, np.bincount(case.reference.spikes[row.population].neuron))
    np.testing.assert_allclose(timing.first_error, case.engine.spike_time - case.reference.spike_time)


@pytest.mark.parametrize("seed", range(4))
def test_networks_nobody_trained(seed: int) -> None:
    network = random_layers((3, 20, 20, 2), 100 + seed)
    x = np.random.default_rng(seed).uniform(size=(200, 3))
    report = check(compiled(network), x)
    assert report.ok, failed(report)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_many_more_networks_nobody_trained(seed: int) -> None:
    network = random_layers((3, 20, 20, 2), 1000 + seed)
    x = np.random.default_rng(seed).uniform(size=(1000, 3))
    report = check(compiled(network), x)
    assert report.ok, failed(report)


@pytest.mark.parametrize("network", [networks.published((3, 12, 12, 2)), networks.branched(0)])
def test_pseudospikes_and_graphs(network: Network) -> None:
    x = np.random.default_rng(1).uniform(size=(100, network.inputs))
    report = check(compiled(network), x)
    assert report.ok, failed(report)


def test_without_the_lateness_it_fails(case: Case) -> None:
    """Spikes applied at the step's end, as usual: far off."""
    program = compiled(case.network, payload_bits=0)
    report = check(program, case.x)
    assert ("engine", "first spikes of the output neurons, RMS error") in failed(report)


def test_a_shift_is_measured(case: Case) -> None:
    shift = 0.25 * case.program.grid.delta
    report = check(case.program, case.x, backends=["reference", prepared("late", later(case.reference, shift))])
    assert [v for v in failed(report) if "unmatched" in v] == []
    assert len(failed(report)) == 2
    for row in report.timing[0].populations:
        for value in (row.rms, row.mean, row.largest):
            assert value == pytest.approx(shift, rel=1e-9)
        np.testing.assert_allclose(row.neurons.rms[row.neurons.spikes > 0], shift, rtol=1e-9)
    first = next(v for v in report.verdicts if v.quantity.startswith("first spikes"))
    assert first.measured == pytest.approx(0.25, rel=1e-9)
    late = prepared("late", later(case.reference, shift))
    assert check(case.program, case.x, backends=["reference", late], bounds=Bounds(rms=0.26)).ok


def lacks_spike(run: Run, population: str, k: int) -> Run:
    s = run.spikes[population]
    fewer = Spikes(np.delete(s.sample, k), np.delete(s.neuron, k), np.delete(s.time, k))
    return replace(run, spikes={**run.spikes, population: fewer})


@pytest.mark.parametrize("extra", [False, True])
def test_a_lost_or_invented_output_spike_breaks_it(case: Case, extra: bool) -> None:
    fewer = lacks_spike(case.reference, "output", 3)
    pair = (fewer, case.reference) if extra else (case.reference, fewer)
    backends = [prepared("reference", pair[0]), prepared("engine", pair[1])]
    report = check(case.program, case.x, backends=backends)
    row = report.timing[0].populations[-1]
    assert (row.missing, row.extra, row.at_end) == ((0, 1, 0) if extra else (1, 0, 0))
    assert (row.neurons.extra if extra else row.neurons.missing).sum() == 1
    assert failed(report) == [("engine", "missing or extra spikes of the output neurons")]
    (verdict,) = [v for v in report.verdicts if not v.ok]
    assert verdict.measured == 1
    assert verdict.note == ("0 missing, 1 extra" if extra else "1 missing, 0 extra")


def test_a_lost_hidden_spike_is_reported_only(case: Case) -> None:
    fewer = lacks_spike(case.reference, "hidden1", 3)
    report = check(case.program, case.x, backends=["reference", prepared("engine", fewer)])
    assert report.ok
    assert [p.missing for p in report.timing[0].populations] == [1, 0, 0]


@pytest.mark.parametrize(("steps_before_end", "counts"), [(0.5, False), (1.5, True)])
def test_near_the_end_a_spike_may_be_a_pseudospike(case: Case, steps_before_end: float, counts: bool) -> None:
    """The same spike, ordinary in one run and pseudo in the other: only its time matters within a step of the end."""
    time = case.program.grid.trial - steps_before_end * case.program.grid.delta
    added = Spikes(*(np.append(c, v).astype(c.dtype) for c, v in (
        (case.reference.spikes["output"].sample, 39), (case.reference.spikes["output"].neuron, 1),
        (case.reference.spikes["output"].time, time))))  # fmt: skip
    assert (np.diff(added.time[-2:]) > 0).all()
    longer = replace(case.reference, spikes={**case.reference.spikes, "output": added})
    for pair in ((longer, case.reference), (case.reference, longer)):
        backends = [prepared("reference", pair[0]), prepared("engine", pair[1])]
        report = check(case.program, case.x, backends=backends)
        row = report.timing[0].populations[-1]
        assert (row.missing + row.extra, row.at_end) == ((1, 0) if counts else (0, 1))
        assert report.ok is not counts


def test_integer_backends_must_be_identical(case: Case) -> None:
    same = replace(case.engine, backend="lava")
    report = check(case.program, case.x, backends=["reference", "engine", prepared("lava", same, exact=True)])
    assert report.ok
    assert report.backends == ("reference", "engine", "lava")
    assert [v.backend for v in report.verdicts if v.quantity.startswith("equal to engine")] == ["lava"]

    assert same.machine is not None
    step = same.machine.step.copy()
    step[2, 0] += 1
    other = replace(same, machine=replace(same.machine, step=step))
    broken = check(case.program, case.x, backends=["reference", "engine", prepared("lava", other, exact=True)])
    assert failed(broken) == [("lava", "equal to engine: step and lateness of every spike")]
    assert "output[0], sample 2" in next(v.note for v in broken.verdicts if not v.ok)


def test_results_are_compared_with_all_there_is(case: Case) -> None:
    truth = np.full_like(case.engine.y, 2.0)
    report = check(case.program, case.x, source=case.network, truth=truth)
    float_run = reference.run(case.network, case.x)
    expected = {
        ("engine", "reference"): (case.engine.y, case.reference.y),
        ("engine", "float"): (case.engine.y, float_run.y),
        ("reference", "float"): (case.reference.y, float_run.y),
        ("float", "truth"): (float_run.y, truth),
        ("reference", "truth"): (case.reference.y, truth),
        ("engine", "truth"): (case.engine.y, truth),
    }
    assert {(r.backend, r.against) for r in report.results} == set(expected)
    for (backend, against), (y, base) in expected.items():
        result = report.result(backend, against)
        assert result is not None
        assert result.relative == pytest.approx(np.linalg.norm(y - base) / np.linalg.norm(base))
        assert result.largest == pytest.approx(np.abs(y - base).max())
    assert report.result("reference", "float").relative > 0  # type: ignore[union-attr]


def test_a_bound_on_the_result(case: Case) -> None:
    measured = check(case.program, case.x).result("engine", "reference")
    assert measured is not None
    assert check(case.program, case.x, bounds=Bounds(result=measured.relative * 1.01)).ok
    report = check(case.program, case.x, bounds=Bounds(result=measured.relative * 0.99))
    assert failed(report) == [("engine", "result, relative L2 error")]


def test_a_bundle_brings_its_source(case: Case) -> None:
    @dataclass(frozen=True)
    class Bundle:
        program: Program
        network: Network

    report = check(Bundle(case.program, case.network), case.x)
    assert report.result("engine", "float") is not None
    assert check(case.program, case.x).result("engine", "float") is None


def test_json_holds_every_number(case: Case) -> None:
    silent = replace(
        case.reference, spikes={n: Spikes(*(c[:0] for c in vars(s).values())) for n, s in case.reference.spikes.items()}
    )
    backends = ["reference", "engine", prepared("silent", silent)]
    report = check(case.program, case.x, backends=backends, source=case.network)
    read = json.loads(report.to_json())
    assert read["ok"] is False
    assert read["backends"] == ["reference", "engine", "silent"]
    assert set(read["seconds"]) == {"reference", "engine", "silent", "float"}
    row = read["timing"][0]["populations"][1]
    assert row["population"] == "hidden2"
    assert row["rms_delta"] == pytest.approx(row["rms"] / report.delta)
    assert len(row["neurons"]["rms"]) == 20
    nothing = read["timing"][1]["populations"][0]
    assert nothing["rms"] is None
    assert nothing["neurons"]["largest"] == [None] * 20
    assert nothing["missing"] == nothing["spikes"] == len(case.reference.spikes["hidden1"])


def test_refuses(case: Case) -> None:
    with pytest.raises(InputError, match="unknown backend 'zebra': known are engine, lava, loihi2, reference"):
        check(case.program, case.x, backends=("reference", "zebra"))
    with pytest.raises(InputError, match=r"backend 'loihi2': .*nothing has run on a chip yet"):
        check(case.program, case.x, backends=("engine", "loihi2"))
    with pytest.raises(InputError, match="none of the backends reference, engine has an option 'mode'"):
        check(case.program, case.x, mode="fused")
    with pytest.raises(InputError, match="the run on odd has no machine output: an exact backend must have one"):
        check(case.program, case.x, backends=("engine", prepared("odd", case.reference, exact=True)))
    with pytest.raises(InputError, match="at least two"):
        check(case.program, case.x, backends=("engine",))
    with pytest.raises(InputError, match="samples, 3"):
        check(case.program, np.zeros((4, 2)))
    with pytest.raises(InputError, match="true results have shape"):
        check(case.program, case.x, truth=np.zeros(40))
    with pytest.raises(InputError, match="bound rms"):
        Bounds(rms=-1.0)
    lacking = prepared("odd", replace(case.engine, spikes={"output": case.engine.spikes["output"]}))
    with pytest.raises(InputError, match="no spikes of hidden1"):
        check(case.program, case.x, backends=("reference", lacking))
    with pytest.raises(InputError, match="y of shape"):
        check(case.program, case.x[:5], backends=("reference", prepared("odd", case.engine)))


def test_bounds_by_default() -> None:
    """Those of the documentation: a tenth of a step, half a step proven, two of a hundred classes."""
    told = Bounds(rms=0.1, unmatched=0, tolerance=1.0, result=None, certified=0.5, classes=0.02)
    assert told == Bounds()
