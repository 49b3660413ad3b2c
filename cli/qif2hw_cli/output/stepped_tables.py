"""What the compiler found about a network with a stepped clock, in tables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import percent

if TYPE_CHECKING:
    from qif2hw.ir import ProgramProjection
    from qif2hw.ir.stepped import SteppedRun
    from qif2hw.ir.stepped_program import SteppedProgram


def layers(out: Output, program: "SteppedProgram", run: "SteppedRun") -> dict[str, Any]:
    """Shapes, synapses, spikes and what they reach of every population in a run; for machines the same."""
    rows, facts = [], {}
    for p in program.populations:
        incoming = program.incoming(p.name)
        shape, spikes = " x ".join(map(str, p.shape)), run.spikes_per_sample.get(p.name)
        synapses, weights = sum(q.synapses.count for q in incoming), sum(q.weight.size for q in incoming)
        kinds = [f"{q.pre}: {kind_of(q)}" for q in incoming]
        facts[p.name] = {"shape": list(p.shape), "synapses": synapses, "weights": weights, "incoming": kinds}
        sent = ["", ""]
        if spikes is not None:
            reached = sum(int(run.counts[p.name] @ q.synapses.fan_out) for q in program.projections if q.pre == p.name)
            facts[p.name] |= {"spikes": spikes, "operations": reached / len(run.y)}
            sent = [f"{spikes:.5g}", f"{reached / len(run.y):.5g}"]
        rows.append([p.name, shape, "; ".join(kinds), str(synapses), str(weights), *sent])
    out.table(
        f"Layers; spikes and the synapses that they reach, of a mean golden input in {program.clock.count} time steps",
        ["population", "shape", "from", "synapses", "weights", "spikes", "operations"],
        rows,
        names=3,
    )
    return {"time_steps": program.clock.count, "layers": facts}


def kind_of(projection: "ProgramProjection") -> str:
    """Synapses of a projection in few words."""
    from qif2hw.ir import Conv2d, Sparse

    synapses = projection.synapses
    words = "sparse" if isinstance(synapses, Sparse) else "all to all"
    if isinstance(synapses, Conv2d):
        words = f"conv {synapses.kernel[0]}x{synapses.kernel[1]}"
        for name in ("stride", "dilation"):
            down, across = getattr(synapses, name)
            if (down, across) != (1, 1):
                words += f" {name} {down}" + f",{across}" * (across != down)
        if synapses.groups > 1:
            words += f" groups {synapses.groups}"
    if projection.delay is not None:
        words += f" delay up to {projection.delay.max()}"
    return words


def show_inputs(out: Output, inputs: Mapping[str, Any]) -> None:
    """Range and step of the integer inputs."""
    for name, found in inputs["groups"].items():
        out.say(f"inputs    '{name}': {inputs['bits']} bits, steps of {found['unit']:.4g} up to {found['largest']:.4g}")


def show_arithmetic(out: Output, arithmetic: Mapping[str, Any]) -> None:
    """Steps of the neurons and their thresholds."""
    out.table(
        "Neurons: integers by channel, counted from rest",
        ["population", "step", "thresholds", "resets"],
        [
            [name, found["step"], *(_span(found.get(key)) for key in ("threshold", "reset"))]
            for name, found in arithmetic["populations"].items()
        ],
        names=2,
    )


def _span(values: list[int] | None) -> str:
    if values is None:
        return ""
    low, high = values
    return str(low) if low == high else f"{low} to {high}"


def show_ranges(out: Output, ranges: Mapping[str, Any]) -> None:
    """Proven ranges of sums and registers."""
    out.table(
        "Proven ranges",
        ["population", "least input", "largest input", "register"],
        [
            [name, *(str(found[key]) for key in ("low", "high", "register"))]
            for name, found in ranges["populations"].items()
        ],
    )


def show_adapted(out: Output, adapted: Mapping[str, Any]) -> None:
    """What adapting the rounding did on inputs that did not choose it."""
    if "skipped" in adapted:
        out.say(f"rounding  not adapted: {adapted['skipped']}")
        return
    chosen = ", ".join(adapted["adapted"]) or "no population"
    plain, found = adapted["results"]["plain"], adapted["results"]["adapted"]
    out.say(
        f"rounding  adapted onto {chosen}: the results of {adapted['held']} inputs held out are off by {found:.3g}; "
        f"to the nearest: {plain:.3g}"
    )


def show_budget(out: Output, budget: Mapping[str, Any]) -> None:
    """Where spikes and classes change, by cause."""
    causes, accuracy = budget["causes"], budget["accuracy"]
    changes = causes | {"all together": budget["total"]}
    after = accuracy | {"all together": accuracy.get("arithmetic")}
    out.table(
        f"Where the error comes from: what changes on {budget['samples']} inputs",
        ["cause", "classes", "results", "spikes", *(["accuracy after it"] if accuracy else [])],
        [
            [name, *(percent(found[key]) for key in ("classes", "results", "all_spikes"))]
            + ([percent(after[name])] if accuracy else [])
            for name, found in changes.items()
        ],
    )
    out.table(
        "Spikes that change, by population",
        ["population", *changes],
        [[name, *(percent(found["spikes"][name]) for found in changes.values())] for name in budget["total"]["spikes"]],
    )
