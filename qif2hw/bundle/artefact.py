"""The inside of a bundle: program, source model, options, report, and golden spikes."""

import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from numpy.typing import ArrayLike, NDArray

from qif2hw import backends
from qif2hw.bundle import tensors
from qif2hw.bundle.container import Json, from_json, naming, read, to_json, with_manifest, write
from qif2hw.bundle.golden import Golden, SteppedGolden
from qif2hw.bundle.packing import pack, unpack
from qif2hw.errors import InputError
from qif2hw.files import Region
from qif2hw.ir.arrays import ByValue
from qif2hw.ir.large import Pieces, bytes_of
from qif2hw.ir.network import Network
from qif2hw.ir.program import Program
from qif2hw.ir.spikes import Run
from qif2hw.ir.stepped import AnyNetwork, SteppedNetwork, SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram

P = TypeVar("P", Program, SteppedProgram)
N = TypeVar("N", Network, SteppedNetwork)
G = TypeVar("G", Golden, SteppedGolden)

_LINE = 300
"""Most characters of a line of a bundle's ``repr``."""

_README = """\
A network of quadratic integrate-and-fire neurons, compiled by qif2hw for neuromorphic hardware.
manifest.json        Format version, target, options, package versions; size and sha256 of every other part.
                     Its own "sha256" is that of the same JSON text without that entry.
program.json         What the machine runs, in integers; {"array": NAME} stands for an array of
program.safetensors  weights (post, pre), initial phases, tables and read-out neurons.
golden.safetensors   Inputs x and the spikes they must give, bit for bit: step, lateness (ticks) and
                     flush of the output neurons; spikes.K.* are all spikes of population K of program.json.
model.onnx           The float network it was compiled from (operators of the domain qif2hw, float64).
report.json          What the compiler found: errors of the tables, ranges of the registers, resources.
safetensors: 8 bytes little-endian length, a JSON header (types, shapes, offsets), then the raw arrays.
"""


@dataclass(frozen=True, eq=False)
class _Bundle(ByValue, Generic[P, N, G]):
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

    program: P
    network: N
    options: Json
    report: Json
    golden: G
    versions: dict[str, str]

    def __post_init__(self) -> None:
        for name in ("options", "report"):
            object.__setattr__(self, name, from_json(to_json(getattr(self, name))))
        if self.program.inputs != self.network.inputs or self.program.outputs != self.network.outputs:
            raise InputError("the program and the model have different inputs or outputs")
        if isinstance(self.network, Network) and self.network.host != getattr(self.program, "host", None):
            raise InputError("the program and the model have different parts for the host")

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
        return f"{type(self).__name__}\n" + "\n".join(
            f"  {name}  {str(value)[:_LINE]}" for name, value in lines.items()
        )

    def parts(self) -> dict[str, bytes]:
        """The bytes of every part by name; equal bundles give equal bytes."""
        return {name: b"".join(bytes_of(pieces)) for name, pieces in self._pieces().items()}

    def _pieces(self) -> dict[str, Pieces]:
        from qif2hw.ir import onnx_io

        arrays: dict[str, NDArray[Any]] = {}
        program, golden = pack(self.program, arrays), cast(Any, self.golden)
        parts: dict[str, Pieces] = {
            "README.txt": _README.encode(),
            "golden.safetensors": tensors.write(golden.arrays(self.program)),
            "model.onnx": onnx_io.pieces(self.network),
            "program.json": to_json(program),
            "program.safetensors": tensors.write(arrays),
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
        return write(path, self._pieces())


class Bundle(_Bundle[Program, Network, Golden]):
    """A compiled event-driven network."""

    def run(self, x: ArrayLike, backend: str = "engine", **options: Any) -> Run:
        """Run inputs ``x`` (samples, columns), in the model's units, on a backend; see `qif2hw.run`."""
        return cast(Run, backends.run(backend, self, x, **options))


class SteppedBundle(_Bundle[SteppedProgram, SteppedNetwork, SteppedGolden]):
    """A compiled network with a stepped clock."""

    def run(self, x: ArrayLike, backend: str = "engine", **options: Any) -> SteppedRun:
        """Run inputs ``x`` (samples, ...), as `SteppedNetwork.check_inputs` takes them; see `qif2hw.run`."""
        return cast(SteppedRun, backends.run(backend, self, x, **options))


AnyBundle = Bundle | SteppedBundle
"""A compiled network of either clock."""


def make(
    program: Program | SteppedProgram,
    network: AnyNetwork,
    options: Json,
    report: Json,
    golden: Golden | SteppedGolden,
    versions: dict[str, str],
) -> AnyBundle:
    """A bundle of either clock; `InputError` if its parts are not of the same."""
    if isinstance(program, Program) and isinstance(network, Network) and isinstance(golden, Golden):
        return Bundle(program, network, options, report, golden, versions)
    if (
        isinstance(program, SteppedProgram)
        and isinstance(network, SteppedNetwork)
        and isinstance(golden, SteppedGolden)
    ):
        return SteppedBundle(program, network, options, report, golden, versions)
    raise InputError("the program and the model have different clocks")


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
    """Read the bundle of an event-driven network, all of it.

    Raises
    ------
    InputError
        If a part is missing, unknown, damaged or wrong; the message names it.
    """
    bundle = load_any(path)
    if not isinstance(bundle, Bundle):
        raise InputError(f"{path}: a bundle with a stepped clock, where an event-driven one is needed")
    return bundle


def load_any(path: str | os.PathLike[str]) -> AnyBundle:
    """Read a bundle of either clock; `InputError` as of `load`."""
    from qif2hw.ir import onnx_io

    manifest, parts = read(path)
    program = _program(path, parts)
    with naming(path, "model.onnx"):
        network = onnx_io.read_any(parts["model.onnx"], "the model")
    with naming(path, "report.json"):
        report = from_json(parts["report.json"].read())
    with naming(path, "golden.safetensors"):
        arrays = tensors.read(parts["golden.safetensors"])
        kind = Golden if isinstance(program, Program) else SteppedGolden
        golden: Any = kind.read(arrays, program)  # type: ignore[arg-type]
    with naming(path, "model.onnx"):
        return make(program, network, manifest["options"], report, golden, manifest["versions"])


def load_program(path: str | os.PathLike[str]) -> Program:
    """Read the program of a bundle; needs numpy and safetensors only.

    Raises
    ------
    InputError
        As `load` does: all parts are verified.
    """
    program = _program(path, read(path)[1])
    if not isinstance(program, Program):
        raise InputError(f"{path}: a bundle with a stepped clock, where an event-driven one is needed")
    return program


def _program(path: str | os.PathLike[str], parts: Mapping[str, Region]) -> Program | SteppedProgram:
    with naming(path, "program.safetensors"):
        arrays = tensors.read(parts["program.safetensors"])
    with naming(path, "program.json"):
        packed = from_json(parts["program.json"].read())
        if isinstance(packed, dict) and packed.get("kind") == SteppedProgram.__name__:
            return unpack(SteppedProgram, packed, arrays)
        return unpack(Program, packed, arrays)
