"""``qif2hw estimate``: what a sample costs on a chip, within the published figures."""

from typing import Any

import click

from qif2hw_cli.options.common import example, json_option, threads_option
from qif2hw_cli.options.streams import INPUT
from qif2hw_cli.output.console import Output


@click.command(
    epilog=example(
        "qif2hw estimate model.qif",
        "qif2hw estimate model.qif --inputs x.npy --json",
        "qif2hw estimate model.qif --neurons-per-core 16 --in-flight 8",
    )
)
@click.argument("bundle", type=INPUT)
@click.option("--inputs", type=INPUT, metavar="X.npy", help="As for run; default: the bundle's golden inputs.")
@click.option("--target", help="Another chip than it was compiled for, by name or as a TOML file.")
@click.option("--rates", help="What the chip costs, by name or as a TOML file; default: those of the target.")
@click.option("--in-flight", type=int, default=1, show_default=True, help="Samples that run at once, on own cores.")
@click.option("--neurons-per-core", type=int, metavar="N", help="Spread the network: at most N neurons on a core.")
@click.option("--sanafe", is_flag=True, help="Replay the first sample in SANA-FE too, with its figures of Loihi 1.")
@threads_option
@json_option
def command(
    bundle: str,
    inputs: str | None,
    target: str | None,
    rates: str | None,
    in_flight: int,
    neurons_per_core: int | None,
    sanafe: bool,
    as_json: bool,
) -> None:
    """Count the work of a run by core, and bracket its latency and energy.

    Runs inputs on the engine and counts, on the cores that the compiler fills: synaptic operations, neuron (dendrite)
    updates, messages sent and received. Latency and energy follow from steps and neurons per core with rates whose
    sources are listed: an order of magnitude, within the published figures. Nothing has run on a chip.
    """
    from qif2hw import api
    from qif2hw import bundle as bundles
    from qif2hw.estimate import loihi1
    from qif2hw_cli.files.inputs import read_inputs
    from qif2hw_cli.output.estimate_tables import show, show_cores, show_sources

    out = Output(as_json)
    if sanafe:
        loihi1.check_installed()
    loaded = bundles.load_any(bundle)
    x: Any = loaded.golden.x if inputs is None else read_inputs(inputs, loaded.network)
    with out.stage("estimate"):
        found = api.estimate(
            loaded, x, target=target, rates=rates, in_flight=in_flight, neurons_per_core=neurons_per_core
        )
    facts: dict[str, Any] = {"bundle": bundle, **found.as_json()}
    show(out, found)
    show_cores(out, found)
    show_sources(out, found)
    if sanafe:
        with out.stage("SANA-FE"):
            replayed = loihi1.replay(
                loaded.program, loaded.run(x[:1]), loaded.network.check_inputs(x[:1]), found.counts.cores
            )
        facts["sanafe_loihi1"] = replayed.as_json()
        out.say(f"SANA-FE   {replayed.words()}")
    out.data(facts)
