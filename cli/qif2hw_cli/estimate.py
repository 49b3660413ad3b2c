"""``qif2hw estimate``: what a sample costs on a chip, within the published figures."""

from typing import TYPE_CHECKING, Any

import click

from qif2hw_cli.console import Output, example, json_option, size, threads_option
from qif2hw_cli.streams import INPUT

if TYPE_CHECKING:
    from qif2hw.bundle import AnyBundle
    from qif2hw.estimate import Estimate
    from qif2hw.ir.arrays import FloatArray

CORES_SHOWN = 24
REPORTED = 128
"""Samples that are counted for a report: the bracket does not depend on them."""


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
    from qif2hw_cli.inputs import read_inputs

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


def show(out: Output, found: "Estimate") -> None:
    """Work of a mean sample, and the bracket with its three boundaries."""
    counts, per = found.counts, found.counts.per_sample()
    flush = f" (and {per['flush_synaptic_operations']:.5g} of the flush)" if per["flush_synaptic_operations"] else ""
    out.say(
        f"work      {counts.steps} steps on {len(counts.cores)} cores, at most {counts.fullest_core} neurons on one: "
        f"{per['neuron_updates']:.6g} neuron updates, {per['synaptic_operations']:.5g} synaptic operations{flush}, "
        f"{per['spikes']:.5g} spikes, {per['input_spikes']:.5g} spikes in, {per['axon_messages']:.5g} axon messages "
        f"(mean of {counts.samples} samples)"
    )
    m = found.metrics
    out.say(
        f"metrics   footprint {size(m.footprint)}, connection sparsity {m.connection_sparsity:.3g}, "
        f"activation sparsity {m.activation_sparsity:.4g}, effective ACs {m.effective_acs:.5g}, "
        f"effective MACs {m.effective_macs:.5g}"
    )
    one = found.bracket
    if one is not None:
        ends = f" with {found.in_flight} samples in flight" if found.in_flight > 1 else ""
        out.say(
            f"latency   {_ends(one.latency_s, 1e3)} ms per sample, {_ends(one.samples_per_s, 1)} samples per second"
            f"{ends}"
        )
        out.say(
            f"energy    {_ends(one.rails_j, 1e3)} mJ per sample on the chip's rails, {_ends(one.board_j, 1e3)} mJ on "
            f"the board; dynamic part {_ends(one.dynamic_j, 1e3)} mJ"
        )
    for note in found.notes:
        out.say(f"note      {note}")


def for_report(out: Output, bundle: "AnyBundle", x: "FloatArray") -> "Estimate | None":
    """The estimate of inputs ``x`` (samples, inputs) that a report shows; a note where there is none."""
    from qif2hw import api
    from qif2hw.errors import InputError

    try:
        return api.estimate(bundle, x[:REPORTED])
    except InputError as error:
        out.note(f"the report has no estimate: {error}")
        return None


def show_cores(out: Output, found: "Estimate") -> None:
    """Counters of each core, under the names of Intel's profiler."""
    from qif2hw.estimate import COUNTERS

    values = {name: found.counts.by_core(name) for name in COUNTERS}
    rows = [
        [str(k), f"{core.population} {core.first}-{core.stop - 1}", *(f"{values[name][k]:.6g}" for name in COUNTERS)]
        for k, core in enumerate(found.counts.cores[:CORES_SHOWN])
    ]
    if len(found.counts.cores) > CORES_SHOWN:
        rows.append(["...", f"{len(found.counts.cores) - CORES_SHOWN} more cores", *[""] * len(COUNTERS)])
    out.table("Counters of each core, of a mean sample", ["core", "holds", *COUNTERS], rows, names=2)


def show_sources(out: Output, found: "Estimate") -> None:
    """Every rate with its status and source."""
    if found.rates is not None:
        out.table(
            f"Rates of {found.rates.title}",
            ["rate", "value", "status", "source"],
            [[name, f"{r.value:.4g} {r.unit}", r.status, r.source] for name, r in found.rates.rates.items()],
            names=4,
        )


def _ends(values: tuple[float, float], factor: float) -> str:
    low, high = (f"{factor * value:.2g}" if factor * value < 1 else f"{factor * value:.3g}" for value in values)
    return low if low == high else f"{low} to {high}"
