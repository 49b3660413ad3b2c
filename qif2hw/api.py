"""The library in functions: read and write models, compile a network, load a bundle, run it on a backend."""

import hashlib
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from qif2hw import backends
from qif2hw import bundle as bundles
from qif2hw.bundle import Bundle, Golden, SteppedBundle, SteppedGolden
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program, Run
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import AnyNetwork, SteppedNetwork

AnyPath: TypeAlias = str | os.PathLike[str]

_GOLDEN_SAMPLES = 17

T = TypeVar("T")


def compile(network: Network | AnyPath, *, calibration: ArrayLike | None = None, **options: Any) -> Bundle:
    """Compile a network into a bundle.

    Parameters
    ----------
    network
        A network, or the path of an ONNX file that holds one.
    calibration
        Inputs (samples, inputs) in [0, 1] that are typical for its use; evenly spread ones where there are none.
    **options
        Fields of `qif2hw.compiler.CompileOptions`: target, weight_bits, steps, payload_bits, table_bits, rounding.

    Raises
    ------
    InputError
        If the file, the network or an option is wrong, or the network cannot be put on the machine.
    """
    return compile_timed(network, calibration=calibration, **options)[0]


def compile_timed(
    network: Network | AnyPath, *, calibration: ArrayLike | None = None, **options: Any
) -> tuple[Bundle, dict[str, float]]:
    """`compile`, with its arguments and errors, and the seconds of each pass by name, which a bundle does not hold."""
    from qif2hw.compiler import CompileOptions, compile_network

    chosen = _options(CompileOptions, options)
    source = network if isinstance(network, Network) else load_model(network)
    used = None if calibration is None else source.check_inputs(calibration)
    compiled = compile_network(source, chosen, used)
    bundle = Bundle(
        program=compiled.program,
        network=source,
        options=chosen.as_json() | {"calibration": None if used is None else _digest(used)},
        report=compiled.report,
        golden=make_golden(compiled.program),
        versions=bundles.versions(),
    )
    return bundle, dict(compiled.seconds)


def compile_stepped(network: SteppedNetwork | AnyPath, calibration: ArrayLike, **options: Any) -> SteppedBundle:
    """Compile a network with a stepped clock into a bundle.

    Parameters
    ----------
    network
        A stepped network, or the path of an ONNX file that holds one.
    calibration
        Inputs (samples, ...) that are typical for its use, as `SteppedNetwork.check_inputs` takes them; the first of
        them become the bundle's golden inputs.
    **options
        Fields of `qif2hw.compiler.stepped.SteppedOptions`: weight_bits, input_bits, thresholds.

    Raises
    ------
    InputError
        If the file, the network or an option is wrong, or the network cannot be put on the machine.
    """
    from qif2hw.compiler import stepped
    from qif2hw.engine import stepped as engine

    chosen = _options(stepped.SteppedOptions, options)
    source = network if isinstance(network, SteppedNetwork) else _stepped_model(network)
    used = source.check_inputs(calibration)
    program, ranges = stepped.compile_stepped(source, used, chosen)
    golden = used[:_GOLDEN_SAMPLES]
    return SteppedBundle(
        program=program,
        network=source,
        options=asdict(chosen) | {"calibration": _digest(used)},
        report={"ranges": {name: asdict(found) for name, found in ranges.items()}},
        golden=SteppedGolden.of(golden, engine.run(program, golden)),
        versions=bundles.versions(),
    )


def load_any_model(path: AnyPath) -> AnyNetwork:
    """As `load_model`, a network of either clock."""
    from qif2hw.ir import onnx_io

    return onnx_io.load_any(path)


def _stepped_model(path: AnyPath) -> SteppedNetwork:
    network = load_any_model(path)
    if not isinstance(network, SteppedNetwork):
        raise InputError(f"{path}: an event-driven network, where one with a stepped clock is needed")
    return network


def _options(kind: type[T], options: dict[str, Any]) -> T:
    """The compiler's options; `InputError` names one that there is not."""
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise InputError(f"unknown option '{name}': known are {', '.join(known)}")
    return kind(**options)


def _digest(inputs: FloatArray) -> str:
    return hashlib.sha256(inputs.astype("<f8").tobytes()).hexdigest()


def load_model(path: AnyPath) -> Network:
    """Read a network from an ONNX file of the domain ``qif2hw``.

    Raises
    ------
    InputError
        If there is no such file, or it holds no such network; the message names the node.
    """
    from qif2hw.ir import onnx_io

    return onnx_io.load(path)


def save_model(network: AnyNetwork, path: AnyPath) -> Path:
    """Write a network to an ONNX file, whole or not at all; equal networks give equal bytes.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from qif2hw.ir import onnx_io

    return onnx_io.save(network, path)


def load(path: AnyPath) -> Bundle:
    """Read a bundle; parameters and errors as those of `qif2hw.bundle.load`."""
    return bundles.load(path)


def golden_inputs(width: int) -> FloatArray:
    """Inputs (17, width) that fill the unit cube evenly: a lattice of binary fractions, the same on every machine."""
    sample = np.arange(_GOLDEN_SAMPLES)[:, None]
    # 3 generates all residues of 17 but 0: each column is another permutation of 0, 1/16 ... 1.
    step = np.array([pow(3, column, _GOLDEN_SAMPLES) for column in range(width)])
    return (sample * step % _GOLDEN_SAMPLES) / (_GOLDEN_SAMPLES - 1.0)


def make_golden(program: Program) -> Golden:
    """Golden inputs, and the engine's spikes for them."""
    from qif2hw import engine

    x = golden_inputs(program.inputs)
    return Golden.of(x, engine.run(program, x))


def run(bundle: Bundle | AnyPath, x: ArrayLike, backend: str = "engine", **options: Any) -> Run:
    """Run a compiled network.

    Parameters
    ----------
    bundle
        A bundle or its path.
    x
        Inputs (samples, inputs), scaled to [0, 1].
    backend
        A name from `qif2hw.backends.names`; of this distribution:

        ``engine``
            the integer machine, compiled;
        ``lava``
            the same machine as Lava Processes on Lava's CPU simulator, in a child process;
        ``reference``
            the float network it was compiled from, event driven, without a time grid;
        ``loihi2``
            a chip.  Nothing has run on one yet: this raises `InputError` and says what is missing.
    **options
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
    loaded = bundle if isinstance(bundle, Bundle) else load(bundle)
    return backends.run(backend, loaded, x, **options)
