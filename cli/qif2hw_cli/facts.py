"""A bundle in tables: what the compiler found."""

from typing import TYPE_CHECKING

from qif2hw_cli.console import Output, percent, size

if TYPE_CHECKING:
    from qif2hw.bundle import Bundle


def show_facts(out: Output, bundle: "Bundle") -> None:
    """Time grid, tables, registers and resources of a bundle."""
    report, program = bundle.report, bundle.program
    grid = program.grid
    out.say(
        f"time      {program.steps} steps of Delta = {grid.delta:.6g}; {grid.period_steps} steps in Theta = "
        f"{grid.period:g}; lateness in {grid.ticks} ticks per step"
    )
    _weights(out, bundle)
    tables = report["tables"]["populations"]
    out.table(
        "Tables of the phase transition curve: error over the whole domain, in steps",
        ["population", "knots", "max", "RMS", "monotone"],
        [
            [
                name,
                str(t["knots"]),
                f"{t['max_error_steps']:.2g}",
                f"{t['rms_error_steps']:.2g}",
                "yes" if t["monotone"] else "NO",
            ]
            for name, t in tables.items()
        ],
    )
    width = report["ranges"]["accumulator_bits"]
    out.table(
        f"Registers: largest values that the weights allow (signed, {width} bits there are)",
        ["population", "sum of weights", "weights x lateness", "flush", "bits needed"],
        [
            [
                name,
                str(r["a0_max"]),
                str(r["a1_max"]),
                str(r["flush_max"]),
                str(max(r["a0_max"], r["a1_max"], r["flush_max"]).bit_length() + 1),
            ]
            for name, r in report["ranges"]["populations"].items()
        ],
    )
    show_fit(out, bundle)


def _weights(out: Output, bundle: "Bundle") -> None:
    weights, adapted = bundle.report["weights"], bundle.report.get("adapt-rounding")
    if adapted is not None and "error" in adapted:
        out.say(
            f"rounding  changes the results by {percent(adapted['error'])} of their spread; to the nearest: "
            f"{percent(adapted['plain_error'])} ({adapted['samples']} inputs)"
        )
    elif adapted is not None:
        out.say(f"rounding  not adapted: {adapted['skipped']}")
    out.table(
        f"Weights: {weights['bits']} bits, rounded to even integers times a unit",
        ["projection", "synapses", "largest", "unit", "max error", "RMS error"],
        [
            [
                f"{p.pre} -> {p.post}",
                str(p.weight.size),
                f"{found['largest']:.4g}",
                f"{found['unit']:.4g}",
                f"{found['max_error']:.2g}",
                f"{found['rms_error']:.2g}",
            ]
            for p, found in zip(bundle.program.projections, weights["projections"].values(), strict=True)
        ],
    )


def show_fit(out: Output, bundle: "Bundle") -> None:
    """Cores and memory against the target."""
    fit = bundle.report["fit"]
    out.table(
        f"Resources on the target '{fit['target']}' (estimated)",
        ["population", "neurons", "tables", "per neuron", "neurons per core", "cores"],
        [
            [
                name,
                str(p["neurons"]),
                size(p["table_bytes"]),
                size(p["bytes_per_neuron"]),
                str(p["neurons_per_core"]),
                str(p["cores"]),
            ]
            for name, p in fit["populations"].items()
        ],
    )
    if fit["fits"]:
        out.say(f"fits      {fit['cores']} core(s), within the target's published limits; nothing was run on a chip")
    else:
        out.say(f"does NOT fit the target '{fit['target']}':")
        for reason in fit["reasons"]:
            out.say(f"  {reason}")
