"""The library in three functions: compile a network, load a bundle, run it on a backend."""

import hashlib
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from qif2hw import bundle as bundles
from qif2hw.bundle import Bundle, Golden
from qif2hw.errors import InputError
from qif2hw.ir import Network, Program, Run
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.network import check_inputs

if TYPE_CHECKING:
    from qif2hw.parity import Bounds, ParityReport

BACKENDS = ("engine", "lava", "reference", "loihi2")

CHECKED = ("reference", "engine", "lava")
"""Backends that a parity check compares, in order."""

AnyPath: TypeAlias = str | os.PathLike[str]

_GOLDEN_SAMPLES = 17


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
    """`compile`, and how many seconds each pass took: durations have no place in a bundle."""
    from qif2hw.compiler import CompileOptions, compile_network

    known = [f.name for f in fields(CompileOptions)]
    for name in options:
        if name not in known:
            raise InputError(f"unknown option '{name}': known are {', '.join(known)}")
    chosen = CompileOptions(**options)
    source = network if isinstance(network, Network) else load_model(network)
    used = None if calibration is None else source.check_inputs(calibration)
    compiled = compile_network(source, chosen, used)
    digest = None if used is None else hashlib.sha256(used.astype("<f8").tobytes()).hexdigest()
    bundle = Bundle(
        program=compiled.program,
        network=source,
        options=chosen.as_json() | {"calibration": digest},
        report=compiled.report,
        golden=make_golden(compiled.program),
        versions=bundles.versions(),
    )
    return bundle, dict(compiled.seconds)


def load_model(path: AnyPath) -> Network:
    """Read a network from an ONNX file."""
    from qif2hw.ir import onnx_io

    return onnx_io.load(path)


def load(path: AnyPath) -> Bundle:
    """Read a bundle; see `qif2hw.bundle.load`."""
    return bundles.load(path)


def golden_inputs(width: int) -> FloatArray:
    """A few inputs that fill the unit cube evenly: a lattice of binary fractions, the same everywhere."""
    sample = np.arange(_GOLDEN_SAMPLES)[:, None]
    # 3 generates all residues of 17 but 0: each column is another permutation of 0, 1/16 ... 1.
    step = np.array([pow(3, column, _GOLDEN_SAMPLES) for column in range(width)])
    return (sample * step % _GOLDEN_SAMPLES) / (_GOLDEN_SAMPLES - 1.0)


def make_golden(program: Program) -> Golden:
    """Golden inputs, and what the engine makes of them."""
    from qif2hw import engine

    x = golden_inputs(program.inputs)
    run = engine.run(program, x)
    assert run.machine is not None
    return Golden(x, run.machine, run.step_spikes)


def run(
    bundle: Bundle | AnyPath,
    x: ArrayLike,
    backend: str = "engine",
    *,
    mode: str = "fused",
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run a compiled network.

    Parameters
    ----------
    bundle
        A bundle or its path.
    x
        Inputs (samples, inputs), scaled to [0, 1].
    backend
        ``engine``
            the integer machine, compiled;
        ``lava``
            the same machine as Lava Processes on Lava's CPU simulator, in a child process;
        ``reference``
            the float network it was compiled from, event driven, without a time grid;
        ``loihi2``
            a chip.  Nothing has run on one yet: this raises `InputError` and says what is missing.
    mode, timeout, progress
        For Lava: ``fused`` (one Process, all samples at once) or ``modular`` (a Process per layer and
        projection); seconds after which the child process is ended (None: the backend's own limit); called with
        machine steps done and machine steps in all.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend '{backend}': known are {', '.join(BACKENDS)}")
    loaded = bundle if isinstance(bundle, Bundle) else load(bundle)
    inputs = check_inputs(x, loaded.program.inputs)
    if backend == "engine":
        from qif2hw import engine

        return engine.run(loaded.program, inputs)
    if backend == "reference":
        from qif2hw import reference

        return reference.run(loaded.network, inputs)
    if backend == "lava":
        return _lava(loaded.program, inputs, mode, timeout, progress)
    return _loihi2()


def _lava(
    program: Program, x: FloatArray, mode: str, timeout: float | None, progress: Callable[[int, int], None] | None
) -> Run:
    # By name: Lava stands above the library, which works without it.
    lava = importlib.import_module("qif2hw_lava")
    run: Run = lava.run(program, x, mode=mode, timeout=timeout, progress=progress)
    return run


def _loihi2() -> Run:
    found = importlib.import_module("qif2hw_deploy.loihi2").available()
    raise InputError(f"backend 'loihi2': {found.reason}")


def lava_missing() -> str | None:
    """Why Lava cannot be run from here, in one line that says how to get it; None if it can be run."""
    lava = importlib.import_module("qif2hw_lava")
    try:
        lava.find_interpreter()
    except InputError as error:
        return str(error)
    return None


def check_parity(
    bundle: Bundle | AnyPath,
    x: ArrayLike,
    *,
    backends: Sequence[str] | None = None,
    bounds: "Bounds | None" = None,
    truth: ArrayLike | None = None,
    mode: str = "fused",
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "ParityReport":
    """`qif2hw.parity.check` of a bundle with Lava among the backends it knows.

    Without ``backends``: the reference, the engine, and Lava where it can be run.  For the other parameters see there
    and `run`.
    """
    from qif2hw import parity

    loaded = bundle if isinstance(bundle, Bundle) else load(bundle)
    names = backends if backends is not None else [n for n in CHECKED if n != "lava" or lava_missing() is None]

    def on_lava(inputs: FloatArray) -> Run:
        return _lava(loaded.program, inputs, mode, timeout, progress)

    return parity.check(loaded, x, backends=names, runners={"lava": on_lava}, bounds=bounds, truth=truth)
