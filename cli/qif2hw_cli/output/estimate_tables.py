"""What a sample costs on a chip, in lines and tables."""

from typing import TYPE_CHECKING

from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import size

if TYPE_CHECKING:
    from qif2hw.bundle import AnyBundle
    from qif2hw.estimate import Estimate
    from qif2hw.ir.arrays import FloatArray

CORES_SHOWN = 24
REPORTED = 128
"""Samples that are counted for a report: the bracket does not depend on them."""


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
