"""What ``qif2hw parity --explain SAMPLE`` prints."""

from typing import TYPE_CHECKING, Any

from qif2hw_cli.output.console import Output

if TYPE_CHECKING:
    from qif2hw.bundle import Bundle
    from qif2hw.parity import ParityReport


def show_explanation(out: Output, bundle: "Bundle", outcome: "ParityReport", sample: int) -> dict[str, Any]:
    """The chain of spikes that carried the largest error of a sample to an output, and where runs first differ."""
    from qif2hw.parity.certificates.explain import GROWN, difference_of_sample, explain

    found = explain(bundle.program, outcome.x, sample, source=bundle.network)
    rows = []
    for link in found.chain:
        when = "pseudospike" if link.step < 0 else f"{link.step}"
        shares = [f"{value:+.3g}" for value in (link.error, link.arrived, *link.own.values(), link.passed)]
        rows.append([f"{link.population}[{link.neuron}]", when, *shares])
    out.table(
        f"Sample {sample}: how the error came about, from where most of it arose to the output, in steps Delta",
        ["spike", "step", "error", "arrived", *found.causes, "passed on"],
        rows,
    )
    out.say("causes, all neurons together: " + ", ".join(f"{k} {v:+.3g}" for k, v in found.causes.items()))
    if found.grown is None:
        out.say(f"no hidden spike is {GROWN:g} steps off")
    else:
        name, neuron, step = found.grown
        out.say(f"the first spike that is {GROWN:g} steps off: {name}[{neuron}] in step {step}")
    for what, values in found.rounding.items():
        out.say(f"rounding of {what} changes the results by {', '.join(f'{v:+.3g}' for v in values)}")
    differences = {}
    for name in outcome.exact[1:]:
        where = difference_of_sample(bundle.program, outcome.runs[outcome.exact[0]], outcome.runs[name], sample)
        differences[name] = None if where is None else str(where)
        out.say(f"{outcome.exact[0]} and {name}: {'the same' if where is None else f'first differ at {where}'}")
    return found.to_dict() | {"first_difference": differences}
