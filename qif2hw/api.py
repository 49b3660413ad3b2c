"""The library in functions: read and write models, compile a network, load a bundle, run it on a backend."""

import hashlib
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike

from qif2hw import backends
from qif2hw import bundle as bundles
from qif2hw.bundle import AnyBundle, Bundle, Golden, SteppedBundle, SteppedGolden
from qif2hw.errors import InputError
from qif2hw.estimate import Core, Estimate
from qif2hw.ir import Network, Program
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import AnyNetwork, AnyRun, SteppedNetwork
from qif2hw.ir.stepped_program import SteppedProgram

if TYPE_CHECKING:
    # The base class of torch's modules is known where torch is.
    from qif2hw.nn.tracing import Module

AnyPath: TypeAlias = str | os.PathLike[str]

_GOLDEN_SAMPLES = 17
_GOLDEN_UPDATES = 20_000_000_000
"""Most synapses that the golden inputs of a network in time steps reach."""


@overload
def compile(network: Network, *, calibration: ArrayLike | None = None, **options: Any) -> Bundle: ...
@overload
def compile(network: SteppedNetwork, *, calibration: ArrayLike | None = None, **options: Any) -> SteppedBundle: ...
@overload
def compile(network: AnyPath, *, calibration: ArrayLike | None = None, **options: Any) -> AnyBundle: ...
def compile(network: AnyNetwork | AnyPath, *, calibration: ArrayLike | None = None, **options: Any) -> AnyBundle:
    """Compile a network into a bundle.

    Parameters
    ----------
    network
        A network of either clock, or the path of an ONNX file that holds one.
    calibration
        Inputs that are typical for its use, (samples, inputs), as `check_inputs` of the network takes them.  An
        event-driven network has evenly spread ones where there are none; one with a stepped clock needs them, unless
        its inputs are integers already, and keeps the first as golden inputs.
    **options
        Fields of `qif2hw.compiler.CompileOptions` (target, weight_bits, steps, payload_bits, table_bits, rounding ..),
        or with a stepped clock of `qif2hw.compiler.SteppedOptions` (target, weight_bits, input_bits, thresholds ..).

    Raises
    ------
    InputError
        If the file, the network or an option is wrong, or the network cannot be put on the machine.
    """
    return compile_timed(network, calibration=calibration, **options)[0]


@overload
def compile_timed(
    network: Network, *, calibration: ArrayLike | None = None, **options: Any
) -> tuple[Bundle, dict[str, float]]: ...
@overload
def compile_timed(
    network: AnyNetwork | AnyPath, *, calibration: ArrayLike | None = None, **options: Any
) -> tuple[AnyBundle, dict[str, float]]: ...
def compile_timed(
    network: AnyNetwork | AnyPath, *, calibration: ArrayLike | None = None, **options: Any
) -> tuple[AnyBundle, dict[str, float]]:
    """`compile`, and the seconds of each pass by name, which a bundle does not hold.

    Arguments and errors are those of `compile`.
    """
    from qif2hw.compiler import clock_of, compile_network

    source = network if isinstance(network, AnyNetwork) else load_model(network)
    clock = clock_of(source)
    known = [f.name for f in fields(clock.options)]
    for name in options:
        if name not in known:
            raise InputError(f"unknown option '{name}': known are {', '.join(known)} for {clock.title}")
    chosen = clock.options(**options)
    used = None if calibration is None else source.check_inputs(calibration)
    compiled = compile_network(source, chosen, used)
    bundle = bundles.make(
        program=compiled.program,
        network=source,
        options=chosen.as_json() | {"calibration": None if used is None else _digest(used)},
        report=compiled.report,
        golden=make_golden(compiled.program, used),
        versions=bundles.versions(),
    )
    return bundle, dict(compiled.seconds)


def _digest(inputs: FloatArray) -> str:
    return hashlib.sha256(inputs.astype("<f8").tobytes()).hexdigest()


def load_model(path: AnyPath) -> AnyNetwork:
    """Read a network of either clock from an ONNX file of the domain ``qif2hw``.

    Raises
    ------
    InputError
        If there is no such file, or it holds no such network; the message names the node.
    """
    from qif2hw.ir import onnx_io

    return onnx_io.load_any(path)


def save(
    network: "AnyNetwork | Module",
    path: AnyPath,
    *,
    input_shape: tuple[int, ...] | None = None,
    time_steps: int | None = None,
) -> Path:
    """Write a network, or a torch module as one, to an ONNX file, whole or not at all.

    Equal networks give equal bytes.

    Parameters
    ----------
    network
        A network of either clock, or a torch module, as `qif2hw.nn.network_of` takes it.
    path
        Of the file.
    input_shape, time_steps
        Of a module, where they are needed: see there.

    Raises
    ------
    InputError
        If the file cannot be written, or the module not be exported: all that stands in the way is named by its path.
    """
    from qif2hw.ir import onnx_io

    return onnx_io.save(_network(network, input_shape, time_steps), path)


def _network(
    source: "AnyNetwork | Module", input_shape: tuple[int, ...] | None = None, time_steps: int | None = None
) -> AnyNetwork:
    if isinstance(source, AnyNetwork):
        if input_shape is not None or time_steps is not None:
            raise InputError("input_shape and time_steps are for torch modules: a network has its own")
        return source
    # A torch module comes from a process that has torch.
    if not hasattr(source, "named_modules"):
        raise InputError(f"a {type(source).__name__}: a network or a torch module is needed")
    from qif2hw.nn.tracing import network_of

    return network_of(source, input_shape, time_steps)


def load(path: AnyPath) -> AnyBundle:
    """Read a bundle of either clock; parameters and errors as those of `qif2hw.bundle.load_any`."""
    return bundles.load_any(path)


def golden_inputs(width: int) -> FloatArray:
    """Inputs (17, width) that fill the unit cube evenly: a lattice of binary fractions, the same on every machine."""
    sample = np.arange(_GOLDEN_SAMPLES)[:, None]
    # 3 generates all residues of 17 but 0: each column is another permutation of 0, 1/16 ... 1.
    step = np.array([pow(3, column, _GOLDEN_SAMPLES) for column in range(width)])
    return (sample * step % _GOLDEN_SAMPLES) / (_GOLDEN_SAMPLES - 1.0)


def make_golden(program: Program | SteppedProgram, calibration: FloatArray | None = None) -> Golden | SteppedGolden:
    """Golden inputs, and the engine's spikes for them.

    With a stepped clock they are the first of the ``calibration`` (samples, 1 or time steps, inputs); an event-driven
    program has those of `golden_inputs`.
    """
    from qif2hw import engine
    from qif2hw.compiler.default_inputs import whole_inputs
    from qif2hw.engine import stepped

    if isinstance(program, Program):
        x = program.unscaled(golden_inputs(program.width))
        return Golden.of(x, engine.run(program, x))
    if calibration is None:
        calibration = whole_inputs(program.encoders)
    updates = program.synapse_count * program.clock.count
    x = calibration[: max(1, min(_GOLDEN_SAMPLES, _GOLDEN_UPDATES // updates))]
    return SteppedGolden.of(x, stepped.run(program, x))


def run(
    source: "AnyBundle | AnyNetwork | Module | AnyPath", x: ArrayLike, backend: str | None = None, **options: Any
) -> AnyRun:
    """Run a compiled network, or a float network as it is.

    Parameters
    ----------
    source
        A bundle or its path; or a network, a torch module that is one (`qif2hw.nn.network_of`), or the path of an ONNX
        file: the float ``reference`` alone runs these.
    x
        Inputs (samples, columns) in the model's units, as `Network.check_inputs` takes them ([0, 1] where it names
        none); with a stepped clock as `SteppedNetwork.check_inputs` takes them.
    backend
        A name from `qif2hw.backends.names`, ``engine`` for a bundle if none is given; of this distribution:

        ``engine``
            the integer machine, compiled;
        ``lava``
            the same machine as Lava Processes on Lava's CPU simulator, in a child process;
        ``reference``
            the float network it was compiled from, event driven, without a time grid;
        ``loihi2``
            a chip.  Nothing has run on one yet: this raises `InputError` and says what is missing.
    **options
        ``clip``: move inputs out of range to the nearest end; else they are refused.

        Of the backend.  Any: ``progress``, called with machine steps done and machine steps in all by backends that
        report it.  Lava: ``mode``, ``fused`` (one Process, all samples at once) or ``modular`` (a Process per layer and
        projection); ``timeout``, seconds after which the child process is ended (None: a limit that grows with the
        work).

    Raises
    ------
    InputError
        If the bundle, the inputs or an option is wrong, or there is no such backend or it cannot run here.
    BackendError
        If the run failed.
    """
    if isinstance(source, str | os.PathLike):
        source = load_model(source) if Path(source).suffix == ".onnx" else load(source)
    if isinstance(source, AnyBundle):
        return backends.run(backend or "engine", source, x, **options)
    network = _network(source)
    if backend not in (None, "reference"):
        backends.get(str(backend))
        raise InputError(f"backend '{backend}' runs bundles: compile the network first (qif2hw.compile)")
    return _run_float(network, x, **options)


def _run_float(network: AnyNetwork, x: ArrayLike, *, clip: bool = False, **options: Any) -> AnyRun:
    from qif2hw import reference
    from qif2hw.reference import stepped

    backends.get("reference").check(options)
    if isinstance(network, Network):
        return reference.run(network, network.check_inputs(x, clip=clip), **options)
    if clip:
        raise InputError("clip: inputs of a network with a stepped clock have no range to be clipped to")
    return stepped.run(network, x, **options)


def estimate(
    bundle: AnyBundle | AnyPath,
    x: ArrayLike | None = None,
    *,
    target: str | None = None,
    rates: str | None = None,
    in_flight: int = 1,
    neurons_per_core: int | None = None,
    run: AnyRun | None = None,
) -> Estimate:
    """What a sample costs on a chip: counters by core from the engine's spikes, and a bracket of latency and energy.

    Within the published figures, in order of magnitude: `qif2hw.estimate.bracket`.  Nothing has run on a chip.

    Parameters
    ----------
    bundle
        A bundle or its path.
    x
        Inputs (samples, inputs), as for `run`; by default the bundle's golden inputs.
    target
        Another chip than it was compiled for, by name or as a TOML file.
    rates
        What a chip costs, by name or as a TOML file; by default those of the target, if anything is published.
    in_flight
        Samples that run at once, each on cores of its own.
    neurons_per_core
        Fewer neurons on a core than fit, so that the network is spread over more cores.
    run
        The engine's run of these inputs, if there is one already.

    Raises
    ------
    InputError
        If an argument is wrong, a neuron does not fit a core, or the samples in flight do not fit the chip.
    """
    from qif2hw.estimate import assemble, count, joined, load_rates, rates_for

    loaded = bundle if isinstance(bundle, AnyBundle) else load(bundle)
    given = loaded.golden.x if x is None else np.asarray(x)
    inputs = loaded.network.check_inputs(given)
    name, cores, limit = _placed(loaded, target, neurons_per_core)
    costs = rates_for(name) if rates is None else load_rates(rates)
    if run is not None:
        counts = count(loaded.program, run, inputs, cores)
    else:
        # Spikes of all samples at once may not fit into memory.
        parts = [slice(low, low + _ESTIMATED) for low in range(0, len(inputs), _ESTIMATED)]
        counts = joined(count(loaded.program, loaded.run(given[p]), inputs[p], cores) for p in parts)
    return assemble(loaded.program, counts, name, costs, core_limit=limit, in_flight=in_flight)


_ESTIMATED = 128
"""Samples whose spikes are held at a time."""


def _placed(
    bundle: AnyBundle, target: str | None, neurons_per_core: int | None
) -> tuple[str, tuple[Core, ...], int | None]:
    """Name of a target, what its cores hold, and how many there are: as compiled, or mapped anew."""
    from qif2hw.compiler.clocks import clock_of
    from qif2hw.compiler.mapping import map_cores
    from qif2hw.compiler.targets import Limit, load_target

    fit = bundle.report.get("fit")
    if target is None and neurons_per_core is None and fit is not None:
        problems = {name: found["problem"] for name, found in fit["populations"].items() if found["problem"]}
        shares, name, limit = fit["map"], fit["target"], fit["core_limit"]
    else:
        chip = load_target(target or bundle.options["target"])
        if neurons_per_core is not None:
            if neurons_per_core < 1:
                raise InputError(f"{neurons_per_core} neurons per core: at least one is needed")
            most = min(neurons_per_core, chip.limit("neurons_per_core") or neurons_per_core)
            chip = replace(chip, limits={**chip.limits, "neurons_per_core": Limit(most, "as asked for")})
        mapped = map_cores(clock_of(bundle.program).needs(bundle.program), chip)
        problems, name, limit = mapped.problems, chip.name, chip.limit("cores")
        shares = [vars(share) for share in mapped.shares]
    for population, why in problems.items():
        raise InputError(f"the network does not fit the target '{name}', population '{population}': {why}")
    return name, tuple(Core(s["population"], s["first"], s["stop"], s["parts"], s["bytes"]) for s in shares), limit
