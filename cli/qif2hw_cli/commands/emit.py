"""``qif2hw emit``: a bundle as a C program, a float network as a NIR graph."""

import click

from qif2hw.errors import InputError
from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.options.streams import INPUT, OUTPUT, is_stream
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import size


@click.command(
    epilog=example(
        "qif2hw emit model.qif --to c99 -o program",
        "qif2hw emit model.qif --to c99 -o program --inputs x.npy",
        "qif2hw emit model.onnx --to nir -o model.nir",
    )
)
@click.argument("bundle", type=INPUT)
@click.option("--to", required=True, type=click.Choice(["c99", "nir"]), help="The language.")
@click.option("-o", "--output", required=True, type=OUTPUT, metavar="DIR", help="The folder to make; of nir, the file.")
@click.option("--inputs", type=INPUT, metavar="X.npy", help="Inputs as of run; DIR/inputs.csv has them as integers.")
@json_option
def command(bundle: str, to: str, output: str, inputs: str | None, as_json: bool) -> None:
    """Write a compiled network as a self-contained program of the integer machine.

    \b
    DIR/Makefile: make test      runs the golden inputs
                  make network   builds the program that runs a file of inputs
                  make size      bytes of code and constants, and of registers
    ./network inputs.csv prints a line per sample: step,lateness,flush of each output neuron; networks in time
    steps: the accumulated outputs, then the class.

    --to nir writes a float network, a model or that of a bundle, as a graph of the Neuromorphic Intermediate
    Representation: event-driven ones, and LIF neurons in time steps.
    """  # noqa: D301  # click wants the character, not the escape
    from qif2hw import bundle as bundles
    from qif2hw.emit import to_c99
    from qif2hw.files import check_replaceable, write_folder
    from qif2hw_cli.files.inputs import read_inputs

    out = Output(as_json)
    if to == "nir":
        _nir(bundle, output, inputs, out)
        return
    if is_stream(output):
        raise InputError("-o -: a folder is needed, not a stream")
    # It may be there, but empty.
    check_replaceable(output, ())
    loaded = bundles.load_any(bundle)
    x = None if inputs is None else read_inputs(inputs, loaded.network)
    with out.stage(f"emit {to}") as stage:
        parts = to_c99(loaded, x)
        write_folder(output, parts)
    total = sum(map(len, parts.values()))
    samples = "" if x is None else f", {len(x)} samples in inputs.csv"
    out.say(f"{output}: {len(parts)} files, {size(total)}{samples}; make -C {output} test")
    if getattr(loaded.program, "first_spike", None) is not None:
        out.say("  ./network prints first spikes; the class is that of the earliest, which it does not look for")
    out.data(
        {
            "output": output,
            "to": to,
            "files": {name: len(data) for name, data in parts.items()},
            "samples": 0 if x is None else len(x),
            "seconds": stage.seconds,
        }
    )


def _nir(model: str, output: str, inputs: str | None, out: Output) -> None:
    from pathlib import Path

    from qif2hw import bundle as bundles
    from qif2hw.files import check_writable
    from qif2hw.ir import nir, onnx_io

    if inputs is not None:
        raise InputError("--inputs is for --to c99")
    check_writable(output)
    network = onnx_io.load_any(model) if Path(model).suffix == ".onnx" else bundles.load_any(model).network
    try:
        nir.save(network, output)
    except InputError as error:
        raise InputError(f"{model}: {error}") from None
    out.say(f"{output}: {network!r}")
    out.data({"output": output, "to": "nir", "nodes": len(network.parts) + len(network.projections)})
