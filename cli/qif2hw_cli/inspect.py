"""``qif2hw inspect``: what is in a bundle, and does it fit."""

import click

from qif2hw_cli.console import Output, example, json_option
from qif2hw_cli.facts import show_facts


@click.command(epilog=example("qif2hw inspect model.qif", "qif2hw inspect model.qif --json"))
@click.argument("bundle", type=click.Path())
@json_option
def command(bundle: str, as_json: bool) -> None:
    """Show what is in a bundle: sizes, tables, registers, cores, memory.

    Verifies every part, and runs the golden inputs on the engine. Exit code 1 if the program does not fit its target,
    or the golden spikes are not reproduced.
    """
    from qif2hw import bundle as bundles

    out = Output(as_json)
    found = bundles.load(bundle)
    program = found.program
    sizes = {e.name: e.size for e in program.encoders} | {p.name: p.size for p in program.populations}
    synapses = sum(p.weight.size for p in program.projections)
    with out.stage("golden spikes"):
        golden = found.golden.matches(found.run(found.golden.x))
    out.say(f"{bundle}: every part verified")
    out.say(f"network   {', '.join(f'{name} {count}' for name, count in sizes.items())}; {synapses} synapses")
    out.say(f"options   {', '.join(f'{key} {value}' for key, value in found.options.items() if value)}")
    out.say(f"made by   {', '.join(f'{key} {value}' for key, value in found.versions.items())}")
    show_facts(out, found)
    samples = len(found.golden.x)
    out.say(f"golden    {samples} inputs: the engine {'gives the same spikes' if golden else 'gives OTHER spikes'}")
    # None: the passes that made it did not estimate resources.
    fits = found.report.get("fit", {}).get("fits")
    out.data(
        {
            "bundle": bundle,
            "sizes": sizes,
            "synapses": synapses,
            "steps": program.steps,
            "delta": program.grid.delta,
            "options": found.options,
            "versions": found.versions,
            "report": found.report,
            "golden_reproduced": golden,
            "fits": fits,
        }
    )
    click.get_current_context().exit(0 if fits is not False and golden else 1)
