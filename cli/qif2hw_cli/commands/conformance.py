"""``qif2hw conformance``: a kit for whoever writes the neuron for a chip."""

from pathlib import Path

import click

from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.options.streams import OUTPUT_FOLDER
from qif2hw_cli.output.console import Output


@click.command(
    epilog=example("qif2hw conformance model.qif -o kit", "qif2hw conformance check kit results"),
    options_metavar="M.qif -o DIR | check DIR RESULTS",
)
@click.argument("arguments", nargs=-1, required=True, type=click.Path(), metavar="")
@click.option("-o", "--output", type=OUTPUT_FOLDER, metavar="DIR", help="The folder of the kit to make.")
@json_option
def command(arguments: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Write a kit for whoever writes a network's neurons for a chip, or check what their machine gives.

    The kit has the operations of every kind of step with their widths, the registers, traces of single neurons, golden
    spikes of every layer and predicted activity counters, in plain files. check compares traces.csv, spikes.csv,
    outputs.csv and counters.json in the folder RESULTS, those that are there, and names the first difference (neuron,
    step, register); exit code 1 if there is one.
    """
    from qif2hw.errors import InputError

    out = Output(as_json)
    if arguments[0] == "check" and output is None:
        if len(arguments) != 3:
            raise InputError("check: two folders are needed, the kit's and that of the results")
        _check(out, Path(arguments[1]), Path(arguments[2]))
    elif len(arguments) != 1 or output is None:
        raise InputError("conformance: give a bundle and -o DIR, or check DIR RESULTS")
    else:
        _make(out, arguments[0], output)


def _make(out: Output, bundle: str, output: str) -> None:
    from qif2hw import bundle as bundles
    from qif2hw.conformance import PARTS, make_kit
    from qif2hw.files import check_replaceable, write_folder

    check_replaceable(output, PARTS)
    with out.stage("kit") as stage:
        parts = make_kit(bundles.load_any(bundle))
        write_folder(output, parts)
    out.say(f"{output}: {len(parts)} files; qif2hw conformance check {output} RESULTS")
    out.data({"output": output, "files": {name: len(data) for name, data in parts.items()}, "seconds": stage.seconds})


def _check(out: Output, kit: Path, results: Path) -> None:
    from qif2hw.conformance import check

    found = check(kit, results)
    for part in found.parts:
        if not part.given:
            out.say(f"{part.name:<9} not checked: no file")
        elif part.difference:
            out.say(f"{part.name:<9} DIFFERENT: {part.difference}")
        else:
            out.say(f"{part.name:<9} equal ({part.rows} rows)")
    out.say("equal" if found.ok else f"first difference: {found.first}")
    out.data(
        {
            "ok": found.ok,
            "first_difference": found.first,
            "missing": list(found.missing),
            "parts": {p.name: {"rows": p.rows, "given": p.given, "difference": p.difference} for p in found.parts},
        }
    )
    click.get_current_context().exit(0 if found.ok else 1)
