"""``qif2hw prove``: a certificate over the whole input domain."""

import click

from qif2hw_cli.options.common import example, json_option, threads_option
from qif2hw_cli.options.streams import INPUT, KEPT_FILE
from qif2hw_cli.output.console import Output


@click.command(epilog=example("qif2hw prove model.qif", "qif2hw prove model.qif --cells 10000 --state proof.json"))
@click.argument("bundle", type=INPUT)
@click.option("--cells", type=click.IntRange(1), help="Most cells to look at, from now on those that were not yet.")
@click.option("--state", type=KEPT_FILE, metavar="S.json", help="Keep what is found here, and go on from it.")
@threads_option
@json_option
def command(bundle: str, cells: int | None, state: str | None, as_json: bool) -> None:
    """Prove how far results can be from the exact ones, for every value of one or two inputs.

    The machine rounds inputs to ticks; for each cell of inputs that it cannot tell apart a bound is proven. The exact
    network has the machine's weights. Exit code 1 if a cell that was looked at has no finite bound.
    """
    from qif2hw import bundle as bundles
    from qif2hw.errors import InputError
    from qif2hw.files import check_writable
    from qif2hw.ir import Program
    from qif2hw.parity import certify_domain

    out = Output(as_json)
    if state is not None:
        check_writable(state)
    program = bundles.load_any(bundle).program
    if not isinstance(program, Program):
        raise InputError("prove: it is for event-driven networks, and this bundle has a stepped clock")
    with out.stage("cells of the domain") as stage:
        found = certify_domain(program, most=cells, state=state, progress=stage.update)
    out.say(f"cells     {found.cells:,}; {found.tried:,} looked at, {found.proven:,} proven")
    out.say(f"domain    {100 * found.share:.4g} % proven")
    where = ", ".join(f"{value:.6g}" for value in found.worst)
    out.say(f"results   within {found.error:.4g} of the exact ones there; that is reached at most near x = {where}")
    out.data(vars(found) | {"worst": list(found.worst), "share": found.share})
    click.get_current_context().exit(0 if found.proven == found.tried else 1)
