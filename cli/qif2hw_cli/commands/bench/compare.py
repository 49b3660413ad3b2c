"""``qif2hw bench compare``: two results."""

import click

from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.options.streams import INPUT
from qif2hw_cli.output.console import Output


@click.command(epilog=example("qif2hw bench compare docs/releases/0.2.0-pre.json new.json"))
@click.argument("old", type=INPUT, metavar="OLD.json")
@click.argument("new", type=INPUT, metavar="NEW.json")
@json_option
def compare(old: str, new: str, as_json: bool) -> None:
    """Print the ratio new / old of each figure that two results have in common, with both machines.

    A ratio below 1 is faster for times, smaller for memory. On different machines, or under load, ratios say nothing
    about the code.
    """
    from qif2hw.bench import result

    out = Output(as_json)
    before, after = result.read(old), result.read(new)
    changes = result.compare(before, after)
    out.table(
        "New against old",
        ["figure", "unit", "old", "new", "new / old"],
        [[c.name, c.unit, f"{c.old:.3g}", f"{c.new:.3g}", f"{c.ratio:.2f}"] for c in changes],
        names=2,
    )
    out.say(f"old: {before.about}")
    out.say(f"new: {after.about}")
    if before.machine["processor"] != after.machine["processor"]:
        out.say("The machines differ: the ratios compare machines, not versions.")
    out.data(
        {
            "old": {"qif2hw": before.version, "machine": before.machine},
            "new": {"qif2hw": after.version, "machine": after.machine},
            "figures": {c.name: {"unit": c.unit, "old": c.old, "new": c.new, "ratio": c.ratio} for c in changes},
        }
    )
