"""A bundle in tables: what the compiler found. A list of passes of one's own may leave any of it out."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from qif2hw_cli.output import stepped_tables
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import can_show, percent, size

if TYPE_CHECKING:
    from qif2hw.compiler.clocks import Clock


def show_report(out: Output, report: Mapping[str, Any], clock: "Clock") -> None:
    """What the passes found, as far as they ran; those that are not known here as names and values."""
    from qif2hw.compiler.clocks import STEPPED

    shown = STEPPED_TABLES if clock is STEPPED else TABLES
    for name, show in shown.items():
        if name in report:
            show(out, report[name])
    for name, section in report.items():
        if name not in shown and name != "fit":
            out.table(name, ["what was found", ""], [[*row] for row in _flat(section)])
    if "fit" in report:
        show_fit(out, report["fit"])


def _flat(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of a section, nested ones under joined names."""
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name} ")
        else:
            values = value if isinstance(value, list) else [value]
            yield f"{above}{name}", ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)


def _time(out: Output, grid: Mapping[str, Any]) -> None:
    out.say(
        f"time      {grid['steps']} steps of Delta = {grid['delta']:.6g}; {grid['steps_per_period']} steps in Theta; "
        f"lateness in {1 << grid['lateness_bits']} ticks per step"
    )


def _max_error(out: Output, found: Mapping[str, Any]) -> None:
    out.table(
        f"Settings tried for an error of at most {percent(found['target'])}: fewest steps, then fewest payload bits",
        ["steps", "payload bits", "error"],
        [
            [str(t["steps"]), str(t["payload_bits"]), percent(t["error"]) if "error" in t else t["refused"]]
            for t in found["tried"]
        ],
        names=0,
    )


def _weights(out: Output, weights: Mapping[str, Any]) -> None:
    out.table(
        f"Weights: {weights['bits']} bits, even integers times a unit (errors of rounding each to its nearest)",
        ["projection", "synapses", "largest", "unit", "max error", "RMS error"],
        [
            [
                name.replace("->", " -> "),
                str(found["synapses"]),
                f"{found['largest']:.4g}",
                f"{found['unit']:.4g}",
                f"{found['max_error']:.2g}",
                f"{found['rms_error']:.2g}",
            ]
            for name, found in weights["projections"].items()
        ],
    )


def _adapted(out: Output, adapted: Mapping[str, Any]) -> None:
    if "error" in adapted:
        out.say(
            f"rounding  changes the results by {_error(adapted, 'error', 'absolute')} of their spread; to the nearest: "
            f"{_error(adapted, 'plain_error', 'plain_absolute')} ({adapted['samples']} inputs)"
        )
    else:
        out.say(f"rounding  not adapted: {adapted['skipped']}")


def _error(found: Mapping[str, Any], relative: str, absolute: str) -> str:
    """A relative error with the absolute one beside it, which reports of older bundles do not have."""
    beside = f" ({found[absolute]:.3g})" if absolute in found else ""
    return f"{percent(found[relative])}{beside}"


def _tables(out: Output, tables: Mapping[str, Any]) -> None:
    out.table(
        "Tables of the phase transition curve: error over the whole domain, in steps",
        ["population", "form", "bytes", "max", "RMS", "monotone"],
        [
            [
                name,
                t["form"],
                str(t["bytes"]),
                f"{t['max_error_steps']:.2g}",
                f"{t['rms_error_steps']:.2g}",
                "yes" if t["monotone"] else "NO",
            ]
            for name, t in tables["populations"].items()
        ],
    )
    if tables.get("lateness_moments") == 2:
        out.say("lateness  spikes carry its square too: a third sum in every neuron")
    for form, why in dict.fromkeys((t["form"], t["why"]) for t in tables["populations"].values()):
        out.say(f"form      {form}: {why}")


def _moments(out: Output, found: Mapping[str, Any]) -> None:
    if found["samples"]:
        out.say(f"moments   {found['moments']} of the lateness: {found['why']} ({found['samples']} inputs)")


def _ranges(out: Output, ranges: Mapping[str, Any]) -> None:
    if ranges["payload_bits"] < ranges["payload_bits_wanted"]:
        out.say(
            f"payload   {ranges['payload_bits']} bits of lateness: the most that the accumulators are proven to hold "
            f"(wanted: {ranges['payload_bits_wanted']})"
        )
    out.table(
        f"Registers: largest values that the weights allow (signed, {ranges['accumulator_bits']} bits there are)",
        ["population", "sum of weights", "weights x lateness", "flush", "bits needed"],
        [
            [
                name,
                str(r["a0_max"]),
                str(r["a1_max"]),
                str(r["flush_max"]),
                str(max(r["a0_max"], r["a1_max"], r["flush_max"]).bit_length() + 1),
            ]
            for name, r in ranges["populations"].items()
        ],
    )


def _lower(out: Output, program: Mapping[str, Any]) -> None:
    deepest = max((p["depth"] for p in program["populations"].values()), default=0)
    out.say(f"program   {program['synapses']} synapses, {deepest} populations deep")


def _registers(out: Output, proven: Mapping[str, Any]) -> None:
    widest: dict[int, tuple[int, str]] = {}
    for name, registers in proven["populations"].items():
        for register, found in registers.items():
            widest[found["of"]] = max(widest.get(found["of"], (0, "")), (found["bits"], f"{register} of '{name}'"))
    for width, (bits, where) in sorted(widest.items()):
        out.say(f"proven    what has {width} bits needs at most {bits}: {where}")


def _budget(out: Output, budget: Mapping[str, Any]) -> None:
    absolute = budget.get("absolute", {})
    rows = [
        [name.replace("_", " ") if name != "total" else "all together", percent(value)]
        + ([f"{absolute[name]:.3g}"] if absolute else [])
        for name, value in (budget["terms"] | {"total": budget["total"]}).items()
    ]
    out.table(
        f"Where the result's error comes from: RMS on {budget['samples']} inputs",
        ["cause", "relative error", *(["absolute"] if absolute else [])],
        rows,
    )


def _compensated(out: Output, found: Mapping[str, Any]) -> None:
    if "error" in found:
        out.say(
            f"phases    shifted: an error of {_error(found, 'error', 'absolute')} in place of "
            f"{_error(found, 'error_before', 'absolute_before')} ({found['samples']} inputs)"
        )
    else:
        out.say(f"phases    not shifted: {found['skipped']}")


def show_fit(out: Output, fit: Mapping[str, Any]) -> None:
    """Does it fit, the map of the cores, and if not why and what would fit."""
    out.table(
        f"Resources on the target '{fit['target']}' (estimated)",
        ["population", "neurons", "fan-in", "weight bits", "tables", "per neuron", "neurons per core", "cores"],
        [
            [
                name,
                str(p["neurons"]),
                str(p["fan_in"]),
                str(p["weight_bits"]),
                size(p["table_bytes"]),
                size(p["bytes_per_neuron"]),
                str(p["neurons_per_core"]),
                str(p["cores"]),
            ]
            for name, p in fit["populations"].items()
        ],
    )
    _map(out, fit)
    if fit["fits"]:
        out.say(f"fits      {fit['cores']} core(s), within the target's limits; nothing was run on a chip")
        return
    out.say(f"does NOT fit the target '{fit['target']}':")
    # Reports of older bundles name no limits.
    for reason, limit in zip_longest(fit["reasons"], fit.get("limits", [])):
        out.say(f"  {reason}{f' ({limit})' if limit else ''}")
    out.say("it would fit with:" if fit["options"] else "no single option makes it fit")
    for option in fit["options"]:
        out.say(f"  {option}")


CORES_SHOWN = 12


def _map(out: Output, fit: Mapping[str, Any]) -> None:
    """A bar for each core: the share of its memory that is filled (without such a limit: of the fullest core)."""
    memory = fit["memory_per_core_bytes"] or max(share["bytes"] for share in fit["map"])
    rows, shown = [], dict.fromkeys(fit["populations"], 0)
    for core, share in enumerate(fit["map"]):
        name = share["population"]
        shown[name] += 1
        if shown[name] > CORES_SHOWN:
            continue
        part = f", synapses {share['part'] + 1}/{share['parts']}" if share["parts"] > 1 else ""
        filled = share["bytes"] / memory
        rows.append(
            [
                f"{core}" if fit["core_limit"] is None or core < fit["core_limit"] else f"{core} (there is none)",
                f"{name} {share['first']}-{share['stop'] - 1}{part}",
                bar(filled),
                f"{100 * filled:.1f} %",
                size(share["bytes"]),
            ]
        )
    left = {name: count - CORES_SHOWN for name, count in shown.items() if count > CORES_SHOWN}
    rows += [["...", f"{name}: {count} more cores", "", "", ""] for name, count in left.items()]
    out.table(
        f"Cores: {fit['cores']} of {fit['core_limit'] or 'any number'}{_chips(fit)}",
        ["core", "holds", "memory", "", ""],
        rows,
        3,
    )


def _chips(fit: Mapping[str, Any]) -> str:
    """How many chips they are, where one is not enough."""
    limit = fit["core_limit"]
    return "" if not limit or fit["cores"] <= limit else f" ({-(-fit['cores'] // limit)} chips)"


def bar(share: float, width: int = 24) -> str:
    """A bar of blocks, an eighth of a character fine; full where more than all is taken."""
    if not can_show("█▏·"):
        return ("#" * min(max(round(share * width), 1), width)).ljust(width, ".")
    eighths = min(round(share * width * 8), width * 8)
    whole, rest = divmod(max(eighths, 1), 8)
    return ("█" * whole + " ▏▎▍▌▋▊▉"[rest] * (rest > 0)).ljust(width, "·")


TABLES = {
    "time-grid": _time,
    "max-error": _max_error,
    "weights": _weights,
    "adapt-rounding": _adapted,
    "tables": _tables,
    "moments": _moments,
    "ranges": _ranges,
    "lower": _lower,
    "registers": _registers,
    "budget": _budget,
    "compensate": _compensated,
}
"""What shows the section of a report of an event-driven network, by pass and in order."""
STEPPED_TABLES = {
    "inputs": stepped_tables.show_inputs,
    "weights": _weights,
    "adapt-rounding": stepped_tables.show_adapted,
    "arithmetic": stepped_tables.show_arithmetic,
    "lower": _lower,
    "ranges": stepped_tables.show_ranges,
    "budget": stepped_tables.show_budget,
}
"""The same for a network with a stepped clock."""
