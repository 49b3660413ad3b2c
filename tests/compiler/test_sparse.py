"""Sparse networks compile to what their dense twins compile to, at the cost of the synapses there are."""

from dataclasses import replace

import numpy as np
import pytest
from networks import branched, listed, ordinary, thinned, without_zeros

from qif2hw import engine
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.compiler.mapping import map_cores, needs_of
from qif2hw.compiler.passes.ranges import load_of
from qif2hw.compiler.search import SearchProblem, Setting, evaluate
from qif2hw.compiler.targets import Limit, Target
from qif2hw.ir import Network, Program, ProgramProjection, Projection, Sparse
from qif2hw.ir.synapses import Dense

MEASURED = ("time-grid", "adapt-rounding", "ranges", "tables", "registers", "budget", "compensate", "max-error")
TWINS = {
    "layers": (thinned(ordinary((2, 14, 12, 2), 1)), CompileOptions(steps=200)),
    "coarse": (thinned(ordinary((1, 12, 12, 2), 2), 0.5), CompileOptions(steps=100, weight_bits=5)),
    "graph": (thinned(branched(2), 0.7), CompileOptions(steps=128)),
    "nearest": (thinned(branched(3), 0.7), CompileOptions(steps=128, rounding="nearest", form="plane")),
    "error target": (thinned(ordinary((1, 12, 12, 2), 4), 0.5), CompileOptions(max_error=0.02, form="cotangent")),
}


def dense(program: Program) -> Program:
    """The same program, all to all."""
    return replace(
        program,
        projections=tuple(
            ProgramProjection(p.pre, p.post, p.synapses.dense(p.weight), p.exponent) for p in program.projections
        ),
    )


@pytest.mark.parametrize("name", TWINS)
def test_a_sparse_network_compiles_to_its_dense_twin(name: str) -> None:
    network, options = TWINS[name]
    full = compile_network(network, options)
    for which in (slice(None), slice(1, None)):
        sparse = compile_network(listed(network, which), options)
        assert any(isinstance(p.synapses, Sparse) for p in sparse.program.projections)
        assert dense(sparse.program) == full.program
        for part in MEASURED:
            assert sparse.report.get(part) == full.report.get(part), part


def test_loads_of_listed_synapses() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        weight = 2 * rng.integers(-30, 31, (4, 9)) * (rng.random((4, 9)) < 0.4)
        other = 2 * rng.integers(-30, 31, (4, 3)) * (rng.random((4, 3)) < 0.7)
        synapses, values = Sparse.of(weight)
        one = ProgramProjection("a", "p", weight, 1), ProgramProjection("b", "p", other)
        two = ProgramProjection("a", "p", values, 1, synapses), one[1]
        assert load_of(one) == load_of(two)


def test_a_network_without_any_synapse_compiles() -> None:
    network = ordinary((1, 5, 2))
    empty = Sparse(np.zeros(6, np.int64), np.zeros(0, np.int32), 1)
    network = replace(network, projections=(Projection("input", "hidden1", np.zeros(0), empty), network.projections[1]))
    compiled = compile_network(network, CompileOptions(rounding="nearest", steps=64))
    assert compiled.report["weights"]["projections"]["input->hidden1"]["synapses"] == 0
    assert compiled.report["fit"]["populations"]["hidden1"]["fan_in"] == 0


def wide(density: float) -> Network:
    network = thinned(ordinary((1, 1000, 1000, 2), 1, gain=0.9), density)
    return network if density == 1 else listed(network, slice(1, 2))


def test_a_layer_with_one_percent_of_its_synapses_needs_four_percent_of_the_memory() -> None:
    options = CompileOptions(rounding="nearest", steps=64, form="cotangent", payload_bits=4)
    found = {}
    for density in (1.0, 0.01):
        program = compile_network(wide(density), options).program
        need = next(n for n in needs_of(program) if n.name == "hidden2")
        share = [s for s in map_cores(needs_of(program), Target("any", "any", {})).shares if s.population == "hidden2"]
        assert len(share) == 1
        assert share[0].bytes == need.bytes(1000)
        found[density] = need.synapse_bytes(1000), program.projections[1].synapses.count
    assert found[0.01][0] < 0.04 * found[1.0][0]
    assert found[0.01][1] == pytest.approx(0.01 * found[1.0][1], rel=0.05)


def test_operations_are_those_of_the_synapses_there_are() -> None:
    network = thinned(ordinary((1, 30, 30, 2), 1), 0.1)
    x = np.linspace(0, 1, 20)[:, None]
    y = np.zeros((20, 1))
    setting = Setting((8, 8, 8), 7, 400, 8, "cotangent")
    full, sparse = (evaluate(SearchProblem(n, "loihi2", "nearest", x, y), setting) for n in (network, listed(network)))
    assert (sparse.error, sparse.steps) == (full.error, full.steps)
    program = compile_network(
        listed(network), CompileOptions(rounding="nearest", steps=400, lateness_moments=1)
    ).program
    run = engine.run(program, x)
    expected = float(program.projections[0].synapses.count)
    for p in program.projections[1:]:
        out = np.bincount(p.synapses.edges().pre, minlength=p.synapses.shape[1])
        expected += out[run.step_spikes[p.pre].neuron].sum() / 20 + out.sum()
    assert sparse.operations == pytest.approx(expected)
    assert sparse.operations < 0.2 * full.operations
    assert sparse.memory < full.memory


def test_cores_of_uneven_neurons_are_not_overfull() -> None:
    """Every core is filled with the synapses of its own neurons."""
    rng = np.random.default_rng(1)
    base = compile_network(ordinary((1, 60, 60, 2), 1), CompileOptions(rounding="nearest", steps=64)).program
    p = base.projections[1]
    keep = rng.random(p.weight.shape) < np.linspace(0, 1, 60)[:, None]
    fewer = ProgramProjection(p.pre, p.post, p.weight * keep)
    uneven = without_zeros(replace(base, projections=(base.projections[0], fewer, base.projections[2])))
    assert not isinstance(uneven.projections[1].synapses, Dense)
    needs = needs_of(uneven)
    need = needs[1]
    memory = need.bytes(1) + 1500
    cores = map_cores(needs, Target("t", "t", {"memory_per_core_bytes": Limit(memory, "made up")}))
    shares = cores.of("hidden2")
    assert len(shares) > 2
    assert all(s.bytes <= memory for s in shares)
    stored = uneven.projections[1].synapses.fan_in
    bits = need.sources[0].bits + need.sources[0].index_bits
    for s in shares:
        synapses = -(-int(stored[s.first : s.stop].sum()) * bits // 8) + 1
        assert s.bytes == synapses + (s.stop - s.first) * need.state_bytes + need.table_bytes
