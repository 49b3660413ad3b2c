"""``qif2hw import``: weights from elsewhere, networks of lava-dl and NIR graphs become a model."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.options.streams import INPUT, OUTPUT
from qif2hw_cli.output.console import Output

if TYPE_CHECKING:
    from qif2hw.ir import Network
    from qif2hw.ir.stepped import SteppedNetwork

ARRAYS = ("trial", "encode", "tau", "i0", "scale", "offset", "first_spike")
"""Options for bare arrays."""
SLAYER = ("inputs",)
"""Options for networks of lava-dl."""
NIR = ("dt", "method")
"""Options for NIR graphs."""
STEPPED = ("time_steps", "input_shape")
"""Options for both."""


@click.command(
    "import",
    epilog=example(
        "qif2hw import weights.npz -o model.onnx --trial 6.5 --encode 0.05 1.95",
        "qif2hw import network.net -o model.onnx",
        "qif2hw import network.nir -o model.onnx --time-steps 20 --dt 1e-4",
    ),
)
@click.argument("file", type=INPUT)
@click.option("-o", "--output", required=True, type=OUTPUT, metavar="M.onnx", help="The model to write.")
@click.option("--trial", type=float, metavar="T", help="npz: length of a trial, in time units.")
@click.option(
    "--encode", type=(float, float), metavar="T0 T1", help="npz: spike times of inputs 1 and 0, inside (0, T)."
)
@click.option("--tau", type=float, default=6 / math.pi, help="npz: membrane time constant; 6/pi if not given.")
@click.option("--i0", type=float, default=1.25, show_default=True, help="npz: constant drive, above 1/4.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="npz: an output is OFFSET + SCALE (t2 - t1).")
@click.option("--offset", type=float, default=0.0, show_default=True, help="npz: see --scale.")
@click.option("--first-spike", is_flag=True, help="npz: the class is that of the neuron that spikes first.")
@click.option(
    "--time-steps", type=int, metavar="T", help="net, nir: steps of a sample; those that the file says if not given."
)
@click.option(
    "--input-shape", metavar="C,H,W", help="net, nir: shape of the input, C,H,W or N, for files that do not say it."
)
@click.option(
    "--inputs",
    type=click.Choice(["values", "bias"]),
    default="values",
    show_default=True,
    help="net: what its input neurons are given; bias: integers, as netx users set bias_mant.",
)
@click.option(
    "--dt", type=float, metavar="DT", help="nir: length of a time step, in the unit of the file; snnTorch's is 1e-4."
)
@click.option(
    "--method",
    type=click.Choice(["euler", "exact"]),
    default="euler",
    show_default=True,
    help="nir: how a neuron's equation becomes a step; euler is that of snnTorch and norse.",
)
@json_option
def command(file: str, output: str, as_json: bool, **options: Any) -> None:
    """Make a model from a FILE of another kind.

    An npz file holds bare arrays: keys w0, w1, ... (one array of shape (post, pre) per layer) and phi0 (initial phases
    of all neurons, layer by layer, in time units). The last layer has two neurons per output, or with --first-spike
    one per class. It needs --trial and --encode.

    A net file is a network of lava-dl's SLAYER (HDF5). Its integers stay as they are: compiling changes no spike.

    A nir file is a graph of the Neuromorphic Intermediate Representation (HDF5). It needs --time-steps, and --dt for
    neurons with time constants.
    """
    from qif2hw.files import check_writable
    from qif2hw.ir import onnx_io

    out = Output(as_json)
    check_writable(output)
    if _is_nir(file):
        _refuse(ARRAYS, "an npz file")
        _refuse(SLAYER, "a network of lava-dl")
        network: Network | SteppedNetwork = _nir(file, options)
    elif _is_hdf5(file):
        _refuse(ARRAYS, "an npz file")
        _refuse(NIR, "a NIR graph")
        network = _slayer(file, options["time_steps"], options["input_shape"], options["inputs"])
    else:
        _refuse(NIR, "a NIR graph")
        _refuse((*STEPPED, *SLAYER), "a network of lava-dl")
        network = _arrays(file, {name: options[name] for name in ARRAYS})
    onnx_io.save(network, output)
    out.say(f"{output}: {network!r}")
    out.data({"model": output, "sizes": [network.inputs, *(p.size for p in network.order)], **_facts(network)})


def _is_hdf5(file: str) -> bool:
    from qif2hw.ir.hdf5 import SIGNATURE

    try:
        with Path(file).open("rb") as opened:
            return opened.read(len(SIGNATURE)) == SIGNATURE or Path(file).suffix == ".net"
    except OSError:
        return Path(file).suffix == ".net"


def _is_nir(file: str) -> bool:
    """Whether it is called so, or is an HDF5 file with the group of a NIR graph."""
    if Path(file).suffix == ".nir":
        return True
    if not _is_hdf5(file):
        return False
    from qif2hw.errors import InputError
    from qif2hw.ir import hdf5

    try:
        import h5py

        with h5py.File(hdf5.read(file, "NIR graphs"), "r") as opened:
            return "node" in opened
    except (ImportError, InputError, OSError, RuntimeError, ValueError, KeyError):
        return False


def _refuse(names: tuple[str, ...], kind: str) -> None:
    """`InputError` if an option was given that is for another kind of file."""
    from qif2hw.errors import InputError

    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise InputError(f"--{name.replace('_', '-')} is for {kind}, which this file is not")


def _arrays(file: str, options: dict[str, Any]) -> "Network":
    from qif2hw.errors import InputError
    from qif2hw.ir.npz import import_npz

    for name in ("trial", "encode"):
        if options[name] is None:
            raise InputError(f"bare arrays do not say it: give --{name}")
    return import_npz(file, **options)


def _slayer(file: str, time_steps: int | None, shape: str | None, inputs: Any) -> "SteppedNetwork":
    from qif2hw_slayer.importer import import_network

    return import_network(file, time_steps=time_steps, input_shape=_sizes(shape), inputs=inputs)


def _nir(file: str, options: dict[str, Any]) -> "Network | SteppedNetwork":
    from qif2hw.ir.nir import import_network

    return import_network(
        file,
        time_steps=options["time_steps"],
        dt=options["dt"],
        method=options["method"],
        input_shape=_sizes(options["input_shape"]),
    )


def _sizes(shape: str | None) -> tuple[int, ...] | None:
    from qif2hw.errors import InputError

    try:
        return None if shape is None else tuple(int(n) for n in shape.split(","))
    except ValueError:
        raise InputError(f"--input-shape {shape}: numbers with commas between them are needed, C,H,W or N") from None


def _facts(network: "Network | SteppedNetwork") -> dict[str, Any]:
    from qif2hw.ir import Network

    if isinstance(network, Network):
        return {"trial": network.trial, "period": network.populations[0].neuron.period}
    return {"time_steps": network.clock.count}
