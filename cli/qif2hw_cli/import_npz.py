"""``qif2hw import``: weights from elsewhere become a model."""

import math

import click

from qif2hw_cli.console import Output, example, json_option


@click.command(
    "import",
    epilog=example("qif2hw import weights.npz -o model.onnx --trial 6.5 --encode 0.05 1.95"),
)
@click.argument("weights", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), metavar="M.onnx", help="The model to write.")
@click.option("--trial", required=True, type=float, metavar="T", help="Length of a trial, in time units.")
@click.option(
    "--encode",
    required=True,
    type=(float, float),
    metavar="T0 T1",
    help="Spike times of inputs 1 and 0, inside (0, T).",
)
@click.option("--tau", type=float, default=6 / math.pi, help="Membrane time constant; 6/pi if not given.")
@click.option("--i0", type=float, default=1.25, show_default=True, help="Constant drive, above 1/4.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="An output is OFFSET + SCALE (t2 - t1).")
@click.option("--offset", type=float, default=0.0, show_default=True, help="See --scale.")
@json_option
def command(
    weights: str,
    output: str,
    trial: float,
    encode: tuple[float, float],
    tau: float,
    i0: float,
    scale: float,
    offset: float,
    as_json: bool,
) -> None:
    """Make a model from bare arrays.

    WEIGHTS is an npz file with keys w0, w1, ... (one array of shape (post, pre) per layer) and phi0 (initial phases of
    all neurons, layer by layer, in time units). The last layer has two neurons per output.
    """
    from qif2hw.files import check_writable
    from qif2hw.ir import onnx_io
    from qif2hw.ir.npz import import_npz

    out = Output(as_json)
    check_writable(output)
    network = import_npz(weights, trial=trial, encode=encode, tau=tau, i0=i0, scale=scale, offset=offset)
    onnx_io.save(network, output)
    sizes = [network.inputs, *(p.size for p in network.order)]
    out.say(f"{output}: {'-'.join(map(str, sizes))}, T = {trial:g}, Theta = {network.populations[0].neuron.period:g}")
    out.data({"model": output, "sizes": sizes, "trial": trial, "period": network.populations[0].neuron.period})
