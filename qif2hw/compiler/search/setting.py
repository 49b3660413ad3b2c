"""One setting of the compiler, and what it costs and gives."""

from dataclasses import asdict, dataclass, field
from typing import Any

from qif2hw import engine
from qif2hw.compiler.driver import Kept, run_passes
from qif2hw.compiler.error_measures import by_size
from qif2hw.compiler.mapping import map_cores, needs_of
from qif2hw.compiler.passes.adapt import AdaptRounding
from qif2hw.compiler.passes.given_forms import MakeGivenForms
from qif2hw.compiler.passes.lower import Lower
from qif2hw.compiler.passes.ranges import ProveRanges
from qif2hw.compiler.passes.registers import ProveRegisters
from qif2hw.compiler.passes.tables import MakeTables
from qif2hw.compiler.passes.time_grid import ChooseTimeGrid
from qif2hw.compiler.passes.weights import RoundWeights
from qif2hw.compiler.pipeline import hosted, start
from qif2hw.compiler.state import Pass
from qif2hw.compiler.targets import load_target
from qif2hw.errors import InputError
from qif2hw.estimate import Core, bracket, count, rates_for
from qif2hw.ir import Network, Program
from qif2hw.ir.arrays import FloatArray

OBJECTIVES = ("error", "memory", "steps", "operations")
"""What is minimised unless other ones are asked for: see `Outcome`."""
COSTS = ("latency", "energy")
"""What may be minimised besides: upper ends of the bracket of `qif2hw.estimate`."""


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
class SearchProblem:
    """What every setting is tried on; sent to each worker once.

    Parameters
    ----------
    network, target, rounding
        What is compiled, for which chip, and how weights are rounded.
    x, y
        Inputs (samples, columns) in the user's units, and the float network's solutions for them (samples, solutions).
    kept
        Results of passes that several settings share, like weights of the same bits; each process has its own.
    """

    network: Network
    target: str
    rounding: str
    x: FloatArray
    y: FloatArray
    kept: Kept = field(default_factory=Kept, compare=False, repr=False)


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
    latency, energy
        Seconds of a trial, and Joules on the chip's rails: upper ends of the bracket, 0 where no rates are published
        for the target.
    refused
        Why it cannot be compiled; the numbers are infinite then.
    """

    error: float = float("inf")
    memory: float = float("inf")
    steps: float = float("inf")
    operations: float = float("inf")
    latency: float = float("inf")
    energy: float = float("inf")
    refused: str = ""

    def values(self, objectives: tuple[str, ...] = OBJECTIVES) -> tuple[float, ...]:
        """The objectives, in order."""
        return tuple(getattr(self, name) for name in objectives)


def compile_setting(problem: SearchProblem, setting: Setting) -> Program:
    """Compile without measuring tables and error budget; `InputError` if the machine cannot have this setting."""
    network = problem.network
    passes: tuple[Pass, ...] = (
        ChooseTimeGrid(setting.steps, setting.payload_bits),
        RoundWeights(setting.weight_bits),
        *([AdaptRounding(setting.weight_bits)] if problem.rounding == "adapt" else []),
        ProveRanges(),
        MakeGivenForms(MakeTables(setting.table_bits, setting.form), (setting.form,) * len(network.populations)),
        Lower(),
        ProveRegisters(),
    )
    state, _ = run_passes(start(network, problem.target, problem.x), passes, problem.kept)
    return hosted(network, state[Program])


def evaluate(problem: SearchProblem, setting: Setting) -> Outcome:
    """Compile and run one setting: the same answer wherever it is done."""
    try:
        program = compile_setting(problem, setting)
    except InputError as error:
        return Outcome(refused=str(error))
    run = engine.run(program, problem.x)
    # Operations are the same on any cores.
    counts = count(program, run, problem.x, [Core(p.name, 0, p.size) for p in program.populations])
    needs, target = needs_of(program), load_target(problem.target)
    fullest = max(share.stop - share.first for share in map_cores(needs, target).shares)
    rates = rates_for(target.name)
    cost = None if rates is None else bracket(rates, program.steps, fullest)
    return Outcome(
        by_size(problem.y)(run.y),
        float(sum(need.bytes(need.neurons) for need in needs)),
        float(program.steps),
        float(counts.syn_ops.sum()) / counts.samples,
        0.0 if cost is None else cost.latency_s[1],
        0.0 if cost is None else cost.rails_j[1],
    )
