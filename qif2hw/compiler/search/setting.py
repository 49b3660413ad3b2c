"""One setting of the compiler, and what it costs and gives."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qif2hw import engine
from qif2hw.compiler.mapping import needs_of
from qif2hw.compiler.passes.adapt import AdaptRounding
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.registers import ProveRegisters
from qif2hw.compiler.passes.tables import MakeTables
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid
from qif2hw.compiler.passes.weights import RoundWeights
from qif2hw.compiler.state import Draft, Pass
from qif2hw.compiler.targets import load_target
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program, Run
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.ptc import second_moment

OBJECTIVES = ("error", "memory", "steps", "operations")
"""What is minimised: see `Outcome`."""


@dataclass(frozen=True)
class Setting:
    """Bits of the weights by projection, and the other options of `qif2hw.compiler.CompileOptions`."""

    weight_bits: tuple[int, ...]
    table_bits: int
    steps: int
    payload_bits: int
    form: str

    def options(self) -> dict[str, Any]:
        """As options of the compiler, plain values."""
        return asdict(self) | {"weight_bits": list(self.weight_bits)}


@dataclass(frozen=True)
class Task:
    """What every setting is tried on; sent to each worker once.

    Parameters
    ----------
    network, target, rounding
        What is compiled, for which chip, and how weights are rounded.
    x, y
        Inputs, and the float network's results for them.
    """

    network: Network
    target: str
    rounding: str
    x: FloatArray
    y: FloatArray


@dataclass(frozen=True)
class Outcome:
    """What a setting costs and gives.

    Parameters
    ----------
    error
        Relative root mean square difference of the engine's results from the float network's.
    memory
        Bytes of synapses, tables and state.
    steps
        Machine steps of a trial.
    operations
        Synaptic operations of a trial, flush included: messages times the synapses that they reach.
    refused
        Why it cannot be compiled; the numbers are infinite then.
    """

    error: float = float("inf")
    memory: float = float("inf")
    steps: float = float("inf")
    operations: float = float("inf")
    refused: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """The objectives, in order."""
        return tuple(getattr(self, name) for name in OBJECTIVES)


def compile_setting(task: Task, setting: Setting) -> Program:
    """Compile without measuring tables and error budget; `InputError` if the machine cannot have this setting."""
    draft = Draft(task.network, load_target(task.target), task.x)
    passes: tuple[Pass, ...] = (
        ChooseTimeGrid(setting.steps, setting.payload_bits),
        RoundWeights(setting.weight_bits),
        *([AdaptRounding(setting.weight_bits)] if task.rounding == "adapt" else []),
        ProveRanges(),
    )
    for one in passes:
        draft = one.run(draft)
    tables = MakeTables(setting.table_bits, setting.form)
    ptc = {p.name: tables.make(draft, p, setting.form) for p in task.network.populations}
    draft = draft.with_report(tables.name, {}, ptc=ptc, table_bits=setting.table_bits)
    draft = ProveRegisters().run(Lower().run(draft))
    assert draft.program is not None
    return draft.program


def evaluate(task: Task, setting: Setting) -> Outcome:
    """Compile and run one setting: the same answer wherever it is done."""
    try:
        program = compile_setting(task, setting)
    except InputError as error:
        return Outcome(refused=str(error))
    run = engine.run(program, task.x)
    return Outcome(
        relative_error(run.y, task.y),
        float(sum(need.bytes(need.neurons) for need in needs_of(program))),
        float(program.steps),
        operations(program, run, len(task.x)),
    )


def relative_error(y: FloatArray, goal: FloatArray) -> float:
    """Root mean square difference over root mean square."""
    return float(np.linalg.norm(y - goal) / max(float(np.linalg.norm(goal)), 1e-300))


def operations(program: Program, run: Run, samples: int) -> float:
    """Synaptic operations of a mean trial."""
    inputs = {e.name for e in program.encoders}
    total = 0.0
    for p in program.projections:
        post, pre = p.weight.shape
        # An input channel sends once; a neuron sends its spikes and once in the flush. A square is another message.
        each = 1 if second_moment(program.population(p.post).ptc) is None else 2
        messages = pre * each if p.pre in inputs else len(run.step_spikes[p.pre]) / samples * each + pre
        total += messages * post
    return total
