"""Side by side on Lava: which ways there are, and that simulators of others run the same network."""

import json
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from networks import branched, ordinary

import qif2hw
from qif2hw import reference, zoo
from qif2hw.bench import lava
from qif2hw.bench.cuba_twin import write
from qif2hw.bench.simulators.job import Job, finish, prepare, simulate
from qif2hw.errors import BackendError, InputError
from qif2hw_cli.main import cli

TINY = lava.Effort(*[(1, 40)] * 2, *[(1, 2)] * 5)
X = np.random.default_rng(0).random((3, 1))


def test_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lava, "QUICK", TINY._replace(engine=(1, 2000)))
    monkeypatch.setenv("QIF2HW_LAVA_PYTHON", "/no/such/python")
    printed = CliRunner().invoke(cli, ["bench", "lava", "--quick", "--no-peers", "--json"])
    assert printed.exit_code == 0, printed.output
    result = json.loads(printed.stdout)
    detail = result["detail"]["lava"]
    assert detail["network"] == "1-32-32-2"
    assert detail["absent"]["netx, Brian 2, Brian2Lava, NEST"] == "not asked for"
    assert "cannot run Lava" in detail["absent"]["Lava, fused"]
    bundle = zoo.bundle("parabola")
    assert detail["steps"] == bundle.program.steps
    [engine] = [row for row in detail["rows"] if row["what"] == "engine"]
    assert engine["spikes_per_s"] == pytest.approx(engine["samples_per_s"] * engine["spikes_per_sample"])
    x = bundle.program.unscaled(np.random.default_rng(0).random((2000, 1)))
    run, exact = bundle.run(x), reference.run(bundle.program.network(), x)
    assert engine["spikes_per_sample"] == sum(map(len, run.spikes.values())) / 2000
    error = np.concatenate([run.spikes[name].time - s.time for name, s in exact.spikes.items()])
    tau = bundle.network.order[0].neuron.tau
    assert engine["timing"]["rms"] == pytest.approx(np.sqrt(np.mean(error**2)) / tau)
    assert engine["timing"]["mean"] == pytest.approx(error.mean() / tau)
    figure = result["figures"]["lava: 1-32-32-2, engine"]
    assert figure == {"value": engine["samples_per_s"], "unit": "1/s"}


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lava, "_is_there", lambda module: module != "brian2")
    monkeypatch.setattr(lava, "_no_netx", lambda: "not installed: lava-dl (it needs Python 3.10)")

    def failed(*_: Any) -> Any:
        raise BackendError("qif2hw.bench.simulators.nest: no such thing\nmore")

    noise = lava.Measured(-1e-3, 1.0, None)
    monkeypatch.setattr(lava, "_simulated", failed)
    monkeypatch.setattr(lava, "_ours", lambda *_, **__: noise)
    found = lava.bench(zoo.bundle("parabola"), TINY)
    assert found["rows"] == []
    absent = found["absent"]
    assert absent["engine"] == "the difference of its two runs is lost in other load on this machine"
    assert absent["Brian 2, QIF equation"] == "not installed: brian2"
    assert absent["netx, CUBA"] == "not installed: lava-dl (it needs Python 3.10)"
    assert absent["NEST, izhikevich as QIF"] == "qif2hw.bench.simulators.nest: no such thing"


def test_other_networks() -> None:
    with pytest.raises(InputError, match="chains of layers of equal neurons: this network is none"):
        prepare(branched(), np.zeros((1, branched().inputs)), 100, 1.0)
    with pytest.raises(InputError, match="qif2hw bench stepped"):
        lava.check_network(None)


def test_copies_are_copies() -> None:
    """Each copy has its own inputs and neurons, and the synapses of the network."""
    network = ordinary((2, 3, 2), seed=1)
    job = prepare(network, np.array([[0.1, 0.9], [0.4, 0.6], [1.0, 0.0]]), 100, 1.0)
    v0, source, target, weight = job.copies()
    assert len(v0) == 3 * 5
    assert len(weight) == 3 * len(job.weight)
    assert (source.min(), target.min()) == (-6, 0)
    for copy in range(3):
        own = slice(copy * len(job.weight), (copy + 1) * len(job.weight))
        assert set(target[own]) == {*range(5 * copy, 5 * copy + 5)}
        assert set(source[own]) == {2 * copy - 6, 2 * copy - 5, *range(5 * copy, 5 * copy + 3)}
        first = network.projections[0].weight
        np.testing.assert_array_equal(weight[own][source[own] == 2 * copy - 6], np.asarray(first)[:, 0])


def test_a_simulator_that_fails_is_one_line(tmp_path: Any) -> None:
    network = zoo.network("parabola")
    job = prepare(network, X, 100, 1.0)
    with pytest.raises(BackendError, match=r"^qif2hw\.bench\.simulators\.none: .*No module named"):
        simulate("qif2hw.bench.simulators.none", network, job)
    job.save(tmp_path)
    again = Job.load(tmp_path)
    assert all(np.array_equal(value, getattr(again, name)) for name, value in vars(job).items())
    finish(tmp_path, 0.5, np.array([3, 4]), np.array([7, 8]))
    assert np.load(tmp_path / "rows.npy").tolist() == [[3, 7], [4, 8]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bound"), [("brian2", 0.006), ("nest", 0.012)])
def test_simulators_run_the_same_network(name: str, bound: float) -> None:
    """Their spikes are those of the exact reference, and ten times as many steps bring them closer."""
    simulator = lava.SIMULATORS[name]
    for distribution in simulator.needs:
        pytest.importorskip(distribution, reason=f"{name} is of the extra 'peers'")
    network = zoo.bundle("parabola").program.network()
    errors = []
    for steps in (512, 5120):
        found = simulate(simulator.module, network, prepare(network, X, steps, simulator.peak))
        timing = lava._timing(network, X, found.spikes)
        assert timing["missing"] == timing["extra"] == 0
        assert found.seconds > 0
        errors.append(timing["rms"])
    assert errors[0] < bound
    assert errors[1] < errors[0] / 2


@pytest.mark.long
@pytest.mark.lava
def test_all_peers() -> None:
    """Those that are installed, in one call."""
    found = lava.bench(zoo.bundle("parabola"), lava.QUICK)
    there = {row["what"]: row for row in found["rows"]}
    assert not {"Lava, fused", "Lava, modular"} & {*found["absent"]}
    for simulator in lava.SIMULATORS.values():
        reason = found["absent"].get(simulator.title, "")
        assert (simulator.title in there) != bool(reason)
        if simulator.title in there:
            timing = there[simulator.title]["timing"]
            assert timing["rms"] < 0.012
            assert timing["missing"] == timing["extra"] == 0
    if "netx, CUBA" in there:
        assert there["netx, CUBA"]["timing"] is None
        assert there["netx, CUBA"]["spikes_per_sample"] > 10


def test_the_cuba_network_has_the_layers(tmp_path: Any) -> None:
    pytest.importorskip("h5py")
    path = tmp_path / "cuba.net"
    write(path, [3, 16, 4])
    from qif2hw_slayer.importer import import_network

    bundle = qif2hw.compile(import_network(path, time_steps=60))
    x = np.zeros((2, 60, 3))
    x[:, 5] = 1
    run = bundle.run(x)
    # Behind them a population counts the spikes.
    assert [p.size for p in bundle.program.populations] == [16, 4, 4]
    assert all(fired.any() for fired in run.spikes.values())
