"""``qif2hw emit``: a bundle in another language."""

import click

from qif2hw_cli.console import Output, example, json_option, size
from qif2hw_cli.streams import INPUT


@click.command(
    epilog=example(
        "qif2hw emit model.qif --to c99 -o program", "qif2hw emit model.qif --to c99 -o program --inputs x.npy"
    )
)
@click.argument("bundle", type=INPUT)
@click.option("--to", required=True, type=click.Choice(["c99"]), help="The language.")
@click.option("-o", "--output", required=True, type=click.Path(), metavar="DIR", help="The folder to make.")
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
    """  # noqa: D301  # click wants the character, not the escape
    from qif2hw import bundle as bundles
    from qif2hw.emit import to_c99
    from qif2hw.files import check_replaceable, write_folder
    from qif2hw_cli.inputs import read_inputs

    out = Output(as_json)
    # It may be there, but empty.
    check_replaceable(output, ())
    loaded = bundles.load_any(bundle)
    x = None if inputs is None else read_inputs(inputs, loaded.network.check_inputs)
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
