"""The arithmetic of the fused Process, without Lava: the third machine gives the spikes of the other two."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import branched, ordinary, published

from qif2hw import engine
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.engine import curve
from qif2hw.ir import CotangentTables, MachineOutput, Network, Run, StepSpikes
from qif2hw_lava.arithmetic import Curve
from qif2hw_lava.backend import prepare
from qif2hw_lava.job import Job
from qif2hw_lava.machine import Machine
from qif2hw_lava.record import FirstSpikes, SpikeLog


def execute(job: Job) -> tuple[MachineOutput, dict[str, StepSpikes]]:
    (step_in,), (late_in,) = job.batches()
    machine, program = Machine(job.program, job.copies), job.program
    logs = {p.name: SpikeLog() for p in program.populations}
    firsts = {name: FirstSpikes(1, job.copies, program.population(name).size) for name in program.output_populations}
    for n in range(1, program.steps + 1):
        sent = machine.step(n, step_in, late_in)
        for name, log in logs.items():
            log.add(0, n, sent[name].flag, sent[name].payload)
        for name, first in firsts.items():
            first.add(0, n, sent[name].flag, sent[name].payload)
    columns = (
        np.concatenate([first.arrays()[key] for first in firsts.values()], axis=1).astype(np.int32)
        for key in ("step", "lateness", "flush")
    )
    return MachineOutput(*columns), {name: StepSpikes.of(log.arrays()["rows"]) for name, log in logs.items()}


def same(network: Network, options: CompileOptions, samples: int, seed: int = 0) -> Run:
    program = compile_network(network, options).program
    x = np.random.default_rng(seed).random((samples, network.inputs))
    output, spikes = execute(prepare(program, x, "fused"))
    expected = engine.run(program, x)
    assert output == expected.machine
    assert spikes == expected.step_spikes
    return expected


@pytest.mark.parametrize("form", ["cotangent", "grid", "plane"])
@pytest.mark.parametrize("payload", [0, 4, 8])
@pytest.mark.parametrize(
    "network", [ordinary((2, 9, 7, 2)), published((2, 9, 7, 4)), branched()], ids=["ordinary", "flush", "graph"]
)
def test_machine_equals_engine(network: Network, payload: int, form: str) -> None:
    run = same(network, CompileOptions(steps=128, payload_bits=payload, rounding="nearest", form=form), samples=40)
    assert sum(len(s) for s in run.step_spikes.values()) > 0


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    gain=st.floats(0.01, 60),
    steps=st.integers(16, 120),
    bits=st.integers(2, 8),
    payload=st.integers(0, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_machine_equals_engine_for_any_program(
    sizes: list[int], gain: float, steps: int, bits: int, payload: int, seed: int
) -> None:
    network = ordinary((*sizes, 2), seed, gain)
    options = CompileOptions(
        steps=steps, weight_bits=bits, payload_bits=payload, table_bits=5, rounding="nearest", form="cotangent"
    )
    same(network, options, samples=3, seed=seed)


def test_curve_equals_look_up_everywhere() -> None:
    program = compile_network(ordinary((1, 4, 2)), CompileOptions(steps=64, rounding="nearest")).program
    tables = program.populations[0].ptc
    assert isinstance(tables, CotangentTables)
    for table, top in ((tables.to_potential, program.grid.threshold // 2), (tables.to_phase, tables.limit)):
        x = np.unique(np.r_[np.arange(min(top, 5000)), np.geomspace(1, top, 5000).astype(np.int64)])
        np.testing.assert_array_equal(Curve(table)(x), curve.look_up(table, x))


def test_samples_that_do_not_fill_the_last_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prepare.__globals__["WIDEST"], "fused", 9 * 2)
    network = ordinary((2, 9, 2))
    program = compile_network(network, CompileOptions(steps=64, rounding="nearest")).program
    job = prepare(program, np.full((5, 2), 0.5), "fused")
    step_in, late_in = job.batches()
    assert (job.copies, job.rounds) == (2, 3)
    assert step_in.shape == late_in.shape == (3, 2, 2)
    assert (step_in[2, 1] == -1).all()
    np.testing.assert_array_equal(step_in.reshape(6, 2)[:5], job.step_in)
