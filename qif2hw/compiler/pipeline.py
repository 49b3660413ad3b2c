"""Network -> Program, pass by pass."""

import time
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

from numpy.typing import ArrayLike

from qif2hw.compiler.clocks import clock_of
from qif2hw.compiler.default_inputs import spread, whole_inputs
from qif2hw.compiler.driver import Kept, run_passes
from qif2hw.compiler.max_error import meet_max_error, with_setting
from qif2hw.compiler.options import CompileOptions, Options, SteppedOptions
from qif2hw.compiler.pass_spec import parse_passes
from qif2hw.compiler.passes.adapt import AdaptRounding
from qif2hw.compiler.passes.weights import RoundWeights, Weights, as_network
from qif2hw.compiler.state import CompilerState, Pass, Phases, Section, State
from qif2hw.compiler.targets import load_target
from qif2hw.discrete import SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program
from qif2hw.ir.stepped import AnyNetwork, SteppedNetwork
from qif2hw.ir.stepped_program import SteppedProgram

P = TypeVar("P", Program, SteppedProgram)

CALIBRATION = 512
"""Number of calibration inputs of an event-driven network where the user gives none."""


@dataclass(frozen=True)
class Compiled(Generic[P]):
    """A program, what each pass reports (the same for the same input), and how long each took (not the same)."""

    program: P
    report: dict[str, Any]
    seconds: dict[str, float]


def passes_for(options: Options) -> tuple[Pass, ...]:
    """The passes in order: those of ``options.passes`` if it names any, else those that the other options ask for."""
    return parse_passes(options.passes, clock_of(options).passes) if options.passes else options.default_passes()


@overload
def compile_network(
    network: Network, options: CompileOptions | None = None, calibration: ArrayLike | None = None
) -> Compiled[Program]: ...
@overload
def compile_network(
    network: SteppedNetwork, options: SteppedOptions | None = None, calibration: ArrayLike | None = None
) -> Compiled[SteppedProgram]: ...
@overload
def compile_network(
    network: AnyNetwork, options: Options | None = None, calibration: ArrayLike | None = None
) -> Compiled[Any]: ...
def compile_network(
    network: AnyNetwork, options: Options | None = None, calibration: ArrayLike | None = None
) -> Compiled[Any]:
    """Compile a network of either clock.

    Parameters
    ----------
    network
        What to compile.
    options
        How.
    calibration
        Inputs that are typical for its use, (samples, inputs), as `check_inputs` of the network takes them.  An
        event-driven network has evenly spread ones where there are none; one with a stepped clock needs them, for the
        range of its inputs, unless these are integers already.

    Raises
    ------
    InputError
        If an option is out of range, calibration inputs are missing, or the network cannot be put on the machine; the
        message says why.
    """
    clock = clock_of(network)
    options = options or clock.options()
    passes = passes_for(options)
    state = start(network, options.target, calibration)
    kept = Kept()
    report: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    if isinstance(options, CompileOptions) and options.max_error is not None:
        began = time.perf_counter()
        found = meet_max_error(state, passes, options.max_error, kept)
        passes, report["max-error"] = with_setting(passes, found), found.as_report()
        seconds["max-error"] = time.perf_counter() - began
    state, took = run_passes(state, passes, kept)
    program = state.get(clock.program)
    if program is None:
        raise InputError("passes: the list makes no program: it needs 'lower'")
    return Compiled(hosted(network, program), report | state.report, seconds | took)


def estimate(
    network: AnyNetwork, until: str, options: Options | None = None, calibration: ArrayLike | None = None
) -> tuple[dict[str, Section], dict[str, float]]:
    """Run the passes up to and including the one named ``until``: what they report, and how long each took.

    Arguments are those of `compile_network`; times are in seconds.

    Raises
    ------
    InputError
        As `compile_network`, and if there is no such pass.
    """
    options = options or clock_of(network).options()
    passes = passes_for(options)
    names = [one.name for one in passes]
    if until not in names:
        raise InputError(f"no pass '{until}' to stop after: the passes are {', '.join(names)}")
    state, seconds = run_passes(start(network, options.target, calibration), passes[: names.index(until) + 1])
    return state.report, seconds


def rounded_network(
    network: Network, options: CompileOptions | None = None, calibration: ArrayLike | None = None
) -> Network:
    """The float network with its weights on the hardware's grid and its phases moved to suit.

    Arguments and errors are those of `compile_network`.  Compiled with the same options it keeps these weights.
    """
    options = options or CompileOptions()
    passes = passes_for(options)
    last = max(k for k, one in enumerate(passes) if isinstance(one, RoundWeights | AdaptRounding))
    state, _ = run_passes(start(network, options.target, calibration), passes[: last + 1])
    return as_network(network, state[Weights], state[Phases])


@overload
def start(network: Network, target: str, calibration: ArrayLike | None) -> State: ...
@overload
def start(network: AnyNetwork, target: str, calibration: ArrayLike | None) -> CompilerState[Any]: ...
def start(network: AnyNetwork, target: str, calibration: ArrayLike | None) -> CompilerState[Any]:
    """Before the first pass: what the passes see of a network; a program that they make is `hosted` afterwards.

    Arguments and errors are those of `compile_network`.
    """
    if isinstance(network, Network):
        # The passes see the network alone, and what its channels get.
        given = network.unscaled(spread(CALIBRATION, network.width)) if calibration is None else calibration
        inputs = network.encoded(given)
        network = replace(network, host=None)
    elif (real := next((p for p in network.populations if isinstance(p.neuron, SteppedSynaptic)), None)) is not None:
        raise InputError(
            f"population '{real.name}': neurons with a synaptic current, or with a potential that is read out, have no "
            "integer arithmetic here: they run on the reference and in ONNX alone"
        )
    elif calibration is not None:
        inputs = network.check_inputs(calibration)
    elif all(group.unit is not None for group in network.encoders):
        inputs = whole_inputs(network.encoders)
    else:
        raise InputError(
            "a network in time steps needs calibration inputs, which choose the range of its integer inputs: give some "
            "that are typical for its use"
        )
    return CompilerState.start(network, load_target(target), inputs)


def hosted(network: AnyNetwork, program: P) -> P:
    """A program with the host's part of the network of which passes made it."""
    if isinstance(program, Program) and isinstance(network, Network):
        return replace(program, host=network.host)
    return program
