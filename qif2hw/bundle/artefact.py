"""The inside of a bundle: program, source model, options, report, and golden spikes."""

import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray

from qif2hw import backends
from qif2hw.bundle.container import Json, from_json, naming, read, to_json, with_manifest, write
from qif2hw.bundle.packing import pack, unpack
from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, frozen
from qif2hw.ir.network import Network, check_inputs
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import MachineOutput, Run, StepSpikes

_LINE = 300
"""Most characters of a line of a bundle's ``repr``."""

_README = """\
A network of quadratic integrate-and-fire neurons, compiled by qif2hw for neuromorphic hardware.
manifest.json        Format version, target, options, package versions; size and sha256 of every other part.
                     Its own "sha256" is that of the same JSON text without that entry.
program.json         What the machine runs, in integers; {"array": NAME} stands for an array of
program.safetensors  weights (post, pre), initial phases, tables and read-out neurons.
golden.safetensors   Inputs x in [0, 1] and the spikes they must give, bit for bit: step, lateness (ticks) and
                     flush of the output neurons; spikes.K.* are all spikes of population K of program.json.
model.onnx           The float network it was compiled from (operators of the domain qif2hw, float64).
report.json          What the compiler found: errors of the tables, ranges of the registers, resources.
safetensors: 8 bytes little-endian length, a JSON header (types, shapes, offsets), then the raw arrays.
"""


@dataclass(frozen=True, eq=False)
class Golden(ByValue):
    """Inputs, and the spikes that every execution of the program must give for them, bit for bit.

    ``x`` has shape (samples, inputs); ``machine`` and ``step_spikes`` are those of a `Run`.
    """

    x: FloatArray
    machine: MachineOutput
    step_spikes: dict[str, StepSpikes]

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", frozen(self.x, np.float64))

    def __repr__(self) -> str:
        return f"Golden({len(self.x)} samples, {sum(len(s) for s in self.step_spikes.values())} spikes)"

    def matches(self, run: Run) -> bool:
        """Whether a run on ``x`` gave exactly these spikes."""
        return run.machine == self.machine and run.step_spikes == self.step_spikes


@dataclass(frozen=True, eq=False)
class Bundle(ByValue):
    """A compiled network with its source, the compiler's report and golden spikes.

    Parameters
    ----------
    program
        What the machine runs.
    network
        The float network it was compiled from.
    options
        The compiler's options: plain values.
    report
        The compiler's report: plain values, no durations and no dates.
    golden
        Inputs and the spikes they must give.
    versions
        Versions of the packages that made it.
    """

    program: Program
    network: Network
    options: Json
    report: Json
    golden: Golden
    versions: dict[str, str]

    def __post_init__(self) -> None:
        for name in ("options", "report"):
            object.__setattr__(self, name, from_json(to_json(getattr(self, name))))
        if self.program.inputs != self.network.inputs or self.program.outputs != self.network.outputs:
            raise InputError("the program and the model have different inputs or outputs")

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items() if value not in (None, ""))
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = {
            "network": self.network,
            "program": self.program,
            "options": options,
            "golden": self.golden,
            "report": ", ".join(self.report),
            "made by": versions,
        }
        return "Bundle\n" + "\n".join(f"  {name}  {str(value)[:_LINE]}" for name, value in lines.items())

    def run(self, x: ArrayLike, backend: str = "engine", **options: Any) -> Run:
        """Run inputs ``x`` (samples, inputs) in [0, 1] on a backend; see `qif2hw.run`."""
        return backends.run(backend, self, x, **options)

    def parts(self) -> dict[str, bytes]:
        """The bytes of every part by name; equal bundles give equal bytes."""
        from qif2hw.ir import onnx_io

        arrays: dict[str, NDArray[Any]] = {}
        program = pack(self.program, arrays)
        parts = {
            "README.txt": _README.encode(),
            "golden.safetensors": safetensors.numpy.save(_golden_arrays(self.golden, self.program)),
            "model.onnx": onnx_io.to_bytes(self.network),
            "program.json": to_json(program),
            "program.safetensors": safetensors.numpy.save(arrays),
            "report.json": to_json(self.report),
        }
        about = {"target": self.options.get("target"), "options": self.options, "versions": self.versions}
        return with_manifest(parts, about)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bundle: to a folder if ``path`` ends in ``/`` or is a folder already, else to a zip.

        Returns the path.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        return write(path, self.parts())


def versions() -> dict[str, str]:
    """Versions of the packages whose work goes into a bundle."""
    versions = {}
    for name in ("qif2hw", "numpy", "onnx", "safetensors"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "unknown"
    return versions


def load(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle, all of it.

    Raises
    ------
    InputError
        If a part is missing, unknown, damaged or wrong; the message names it.
    """
    from qif2hw.ir import onnx_io

    manifest, parts = read(path)
    program = _program(path, parts)
    with naming(path, "model.onnx"):
        network = onnx_io.from_bytes(parts["model.onnx"], "the model")
    with naming(path, "report.json"):
        report = from_json(parts["report.json"])
    with naming(path, "golden.safetensors"):
        golden = _golden(_arrays(parts["golden.safetensors"]), program)
    with naming(path, "model.onnx"):
        return Bundle(program, network, manifest["options"], report, golden, manifest["versions"])


def load_program(path: str | os.PathLike[str]) -> Program:
    """Read the program of a bundle; needs numpy and safetensors only.

    Raises
    ------
    InputError
        As `load` does: all parts are verified.
    """
    return _program(path, read(path)[1])


def _program(path: str | os.PathLike[str], parts: Mapping[str, bytes]) -> Program:
    with naming(path, "program.safetensors"):
        arrays = _arrays(parts["program.safetensors"])
    with naming(path, "program.json"):
        return unpack(Program, from_json(parts["program.json"]), arrays)


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        return dict(safetensors.numpy.load(data))
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"not a safetensors file ({error})") from None


_MACHINE = ("step", "lateness", "flush")
_SPIKES = ("sample", "neuron", "step", "lateness")


def _golden_arrays(golden: Golden, program: Program) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"x": golden.x}
    arrays |= {key: getattr(golden.machine, key) for key in _MACHINE}
    for k, population in enumerate(program.populations):
        spikes = golden.step_spikes[population.name]
        arrays |= {f"spikes.{k}.{key}": getattr(spikes, key) for key in _SPIKES}
    # A view would be written with the memory it looks into.
    return {key: np.ascontiguousarray(array) for key, array in arrays.items()}


def _golden(arrays: dict[str, NDArray[Any]], program: Program) -> Golden:
    names = [p.name for p in program.populations]
    wanted = {"x", *_MACHINE} | {f"spikes.{k}.{key}" for k in range(len(names)) for key in _SPIKES}
    if set(arrays) != wanted:
        odd = min(set(arrays) ^ wanted)
        raise InputError(f"array '{odd}' is {'unknown' if odd in arrays else 'missing'}")
    x = check_inputs(arrays["x"], program.inputs)
    outputs = sum(program.population(name).size for name in program.output_populations)
    for key in wanted - {"x"}:
        array = arrays[key]
        shape = (len(x), outputs) if key in _MACHINE else arrays[f"{key.rpartition('.')[0]}.sample"].shape
        if array.dtype != np.int32 or array.shape != shape or (key not in _MACHINE and array.ndim != 1):
            raise InputError(f"array '{key}' has type {array.dtype} and shape {array.shape}")
    return Golden(
        x,
        MachineOutput(*(arrays[key] for key in _MACHINE)),
        {name: StepSpikes(*(arrays[f"spikes.{k}.{key}"] for key in _SPIKES)) for k, name in enumerate(names)},
    )
