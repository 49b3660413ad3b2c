"""``qif2hw inspect``: what is in a bundle, and does it fit."""

from typing import TYPE_CHECKING, Any

import click

from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.options.streams import INPUT
from qif2hw_cli.output.console import Output

if TYPE_CHECKING:
    from qif2hw.compiler.clocks import Clock


@click.command(epilog=example("qif2hw inspect model.qif", "qif2hw inspect model.qif --target chip.toml --json"))
@click.argument("bundle", type=INPUT)
@click.option("--target", help="Another chip than it was compiled for, by name or as a TOML file.")
@json_option
def command(bundle: str, target: str | None, as_json: bool) -> None:
    """Show what is in a bundle: sizes, tables, registers, a map of the cores; does it fit, and if not why.

    Names, units and ranges of inputs and outputs, and what the host computes around the network.

    Says for Loihi 2's published limits, and for what public models of its neurons show, which limit decides. Of
    networks in time steps also layers, thresholds and spikes. Verifies every part, runs the golden inputs on the
    engine, and estimates what one of them costs (qif2hw estimate says more). Exit code 1 if the program does not fit
    its target, or the golden spikes are not reproduced.
    """
    from dataclasses import replace

    from qif2hw import api
    from qif2hw import bundle as bundles
    from qif2hw.compiler import clock_of
    from qif2hw.compiler.targets import load_target
    from qif2hw.errors import InputError
    from qif2hw_cli.output.estimate_tables import show
    from qif2hw_cli.output.host_tables import show_host
    from qif2hw_cli.output.report_tables import show_report
    from qif2hw_cli.output.stepped_tables import layers

    out = Output(as_json)
    found = bundles.load_any(bundle)
    clock = clock_of(found.program)
    if target is not None:
        fit = clock.assess(found.program, load_target(target), found.report)
        found = replace(found, report={**found.report, "fit": fit.as_report()})
    with out.stage("golden spikes"):
        run: Any = found.run(found.golden.x)
        golden = found.golden.matches(run)
    sizes, synapses = found.program.sizes, found.program.synapse_count
    out.say(f"{bundle}: every part verified")
    out.say(f"network   {', '.join(f'{name} {count}' for name, count in sizes.items())}; {synapses} synapses")
    out.say(f"options   {', '.join(f'{key} {value}' for key, value in found.options.items() if value)}")
    out.say(f"made by   {', '.join(f'{key} {value}' for key, value in found.versions.items())}")
    facts: dict[str, Any]
    if isinstance(found, bundles.SteppedBundle):
        facts = layers(out, found.program, run)
    else:
        facts = {"steps": found.program.steps, "delta": found.program.grid.delta}
        facts |= show_host(out, found.program)
    show_report(out, found.report, clock)
    facts["targets"] = _targets(out, found, clock)
    try:
        cost = api.estimate(found, run=run)
        show(out, cost)
        facts["estimate"] = cost.as_json()
    except InputError as error:
        # It does not fit: what a core would do is not known.
        out.say(f"estimate  none: {error}")
        facts["estimate"] = None
    samples = len(found.golden.x)
    out.say(f"golden    {samples} inputs: the engine {'gives the same spikes' if golden else 'gives OTHER spikes'}")
    # None: the passes that made it did not estimate resources.
    fits = found.report.get("fit", {}).get("fits")
    out.data(
        {
            "bundle": bundle,
            "sizes": sizes,
            "synapses": synapses,
            **facts,
            "options": found.options,
            "versions": found.versions,
            "report": found.report,
            "golden_reproduced": golden,
            "fits": fits,
        }
    )
    click.get_current_context().exit(0 if fits is not False and golden else 1)


def _targets(out: Output, bundle: Any, clock: "Clock") -> dict[str, Any]:
    """Whether the program fits each Loihi 2 target, and which limits are in the way."""
    from qif2hw.compiler.targets import known_targets, load_target

    found = {}
    for name in known_targets():
        if name.startswith("loihi2"):
            fit = clock.assess(bundle.program, load_target(name), bundle.report)
            found[name] = {"fits": fit.fits, "limits": list(fit.limits), "reasons": list(fit.reasons)}
            first = "" if fit.fits else f": {fit.reasons[0]} ({fit.limits[0]})"
            more = f", and {len(fit.reasons) - 1} more" if len(fit.reasons) > 1 else ""
            out.say(f"target    {name}: {'fits' if fit.fits else 'does not fit'}{first}{more}")
    return found
