"""``qif2hw diff``: what changed between two versions of a bundle."""

import click

from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.options.numbers import BOUND
from qif2hw_cli.options.streams import INPUT
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import percent


@click.command(
    epilog=example("qif2hw diff old.qif new.qif", "qif2hw diff old.qif new.qif --inputs x.npy --within 0.01")
)
@click.argument("old", type=INPUT)
@click.argument("new", type=INPUT)
@click.option("--inputs", type=INPUT, metavar="X.npy", help="Inputs; default: the old bundle's golden ones.")
@click.option(
    "--within", type=BOUND, default=0.0, show_default=True, help="Relative L2 error of the results that is no drift."
)
@json_option
def command(old: str, new: str, inputs: str | None, within: float, as_json: bool) -> None:
    """Say what changed between two versions of a bundle, and how far their results drift apart.

    Compares networks, options, weights and initial phases, and runs both on the engine. Exit code 1 if the results
    differ by more than --within.
    """
    from qif2hw import bundle as bundles
    from qif2hw.parity import drift
    from qif2hw_cli.files.inputs import read_inputs

    out = Output(as_json)
    one, other = bundles.load_any(old), bundles.load_any(new)
    x = None if inputs is None else read_inputs(inputs, one.network)
    with out.stage("both on the engine"):
        found = drift(one, other, x)
    out.say(f"network   {'the same' if found.same_network else 'changed'}")
    out.say(f"program   {'the same' if found.same_program else 'changed'}")
    for name, (a, b) in found.options.items():
        out.say(f"option    {name}: {a} -> {b}")
    for what, counts in (("weights", found.weights), ("phases", found.phases)):
        for name, count in counts.items():
            out.say(f"{what:9} {name}: {'another shape' if count < 0 else f'{count} changed'}")
    for name, (a, b) in found.spikes.items():
        if a != b:
            out.say(f"spikes    {name}: {a:,.6g} -> {b:,.6g}")
    if found.first_rms is not None:
        out.say(f"outputs   first spikes {found.first_rms:.3g} apart (RMS)")
    ok = found.within(within)
    told = f"{percent(found.result.relative)} apart, largest {found.result.largest:.3g}"
    out.say(f"results   {told}{'' if ok else ': DRIFT'}")
    out.data(found.to_dict() | {"ok": ok})
    click.get_current_context().exit(0 if ok else 1)
