"""``qif2hw compile``: a model becomes a bundle."""

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from qif2hw_cli.options.common import example, given_options, json_option, threads_option
from qif2hw_cli.options.streams import INPUT, OUTPUT, NamedInput
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import seconds, size

if TYPE_CHECKING:
    from qif2hw.compiler.clocks import Clock
    from qif2hw.compiler.options import CompileOptions, SteppedOptions

LIST = "?"
"""Stands for ``--passes`` without a text."""


def _is_target(name: str) -> bool:
    from qif2hw.compiler import known_targets

    return name in known_targets()


@click.command(
    epilog=example(
        "qif2hw compile model.onnx -o model.qif",
        "qif2hw compile model.onnx -o model.qif --weight-bits 6 --steps 256",
        "qif2hw compile model.onnx -o model.qif --max-error 0.01",
        "qif2hw compile model.onnx --until ranges",
    )
)
@click.argument("model", type=INPUT)
@click.option("-o", "--output", type=OUTPUT, metavar="M.qif", help="A file, or a folder with / at its end.")
@click.option(
    "--target",
    type=NamedInput(_is_target),
    metavar="NAME",
    default="loihi2",
    show_default=True,
    help="A chip by name, or a TOML file with its limits.",
)
@click.option(
    "--weight-bits", default="8", show_default=True, metavar="N", help="Bits of a weight, 2 to 8; by projection: 8/6/4."
)
@click.option("--steps", type=int, default=512, show_default=True, help="Most machine steps of a trial.")
@click.option(
    "--payload-bits",
    default="auto",
    show_default=True,
    metavar="N",
    help="Bits of a spike's lateness; 0: none; auto: 8, or the most that are proven to fit.",
)
@click.option(
    "--lateness-moments",
    type=click.Choice(["auto", "1", "2"]),
    default="auto",
    show_default=True,
    help="2: spikes carry the square of their lateness too, for coarse time grids; auto: below 256 steps per period.",
)
@click.option("--table-bits", type=int, default=7, show_default=True, help="log2 of the tables' knots per octave.")
@click.option(
    "--max-error",
    type=float,
    metavar="E",
    help="Choose the fewest steps, then payload bits, with a relative error below E (0.01 is 1 %).",
)
@click.option(
    "--rounding",
    type=click.Choice(["adapt", "nearest"]),
    default="adapt",
    show_default=True,
    help="Round so that the results stay, or each weight to its nearest.",
)
@click.option(
    "--form",
    type=click.Choice(["auto", "cotangent", "plane", "grid"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the neurons: tables or plane vectors; auto measures and picks.",
)
@click.option(
    "--passes",
    default="",
    is_flag=False,
    flag_value=LIST,
    metavar="[TEXT]",
    help="The passes themselves, in place of these options; without TEXT: print those that the options stand for.",
)
@click.option(
    "--until", default="", metavar="PASS", help="Stop after this pass and print what was found; write nothing."
)
@click.option("--calibration", type=INPUT, metavar="X.npy", help="Typical inputs; networks in time steps need them.")
@click.option(
    "--input-bits", type=int, default=9, show_default=True, help="Networks in time steps: signed bits of an input."
)
@click.option(
    "--thresholds",
    type=click.Choice(["channel", "layer"]),
    default="channel",
    show_default=True,
    help="Networks in time steps: units of the potentials by channel or by layer.",
)
@click.option("--allow-misfit", is_flag=True, help="Write the bundle even if it does not fit the target.")
@threads_option
@json_option
def command(
    model: str,
    output: str | None,
    passes: str,
    until: str,
    calibration: str | None,
    allow_misfit: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Compile a model for the integer machine.

    Prints what the passes found: for event-driven networks the error of the tables over their whole domain; for both
    kinds the proven range of every register, where the error comes from, and what the chip needs. A network that does
    not fit the target is refused with the reason and the nearest option that fits.
    """
    from qif2hw import api
    from qif2hw import bundle as bundles
    from qif2hw.compiler import clock_of, estimate, passes_for, print_passes
    from qif2hw.compiler.passes.fit import refusal
    from qif2hw.errors import InputError
    from qif2hw_cli.files.inputs import read_inputs
    from qif2hw_cli.output.report_tables import show_report

    out = Output(as_json)
    network = api.load_model(model)
    clock = clock_of(network)
    options = chosen_options(clock, given | {"passes": "" if passes == LIST else passes})
    if passes == LIST:
        text = print_passes(passes_for(options))
        out.say(text)
        out.data({"passes": text})
        return
    typical = None if calibration is None else read_inputs(calibration, network)
    if until:
        with out.stage(f"compile until {until}"):
            report, took = estimate(network, until, options, typical)
        show_report(out, report, clock)
        out.data({"report": report, "seconds": took})
        return
    if output is None:
        raise InputError("no place for the bundle: give one with -o M.qif")
    bundles.check_writable(output)
    with out.stage("compile") as stage:
        bundle, took = api.compile_timed(
            network, calibration=typical, **{f.name: getattr(options, f.name) for f in fields(options)}
        )
        # None of its own passes may have asked.
        fit = bundle.report.get("fit")
        if fit is not None and not fit["fits"] and not allow_misfit:
            raise InputError(f"{refusal(fit)}; --allow-misfit compiles it for the simulators")
        path = bundle.save(output)
    written = sum(part.stat().st_size for part in path.iterdir()) if path.is_dir() else path.stat().st_size
    show_report(out, bundle.report, clock)
    out.say(f"{output}: {size(written)}, compiled in {seconds(stage.seconds)}")
    out.data(
        {
            "bundle": output,
            "bytes": written,
            "options": bundle.options,
            "report": bundle.report,
            "seconds": {"total": stage.seconds} | took,
        }
    )


def chosen_options(clock: "Clock", given: dict[str, Any]) -> "CompileOptions | SteppedOptions":
    """Options of a clock from those of the command; `InputError` if one was given that it does not have."""
    from qif2hw.compiler.clocks import STEPPED, TRIAL
    from qif2hw.compiler.passes.tables import parse_moments
    from qif2hw.compiler.passes.time_grid import parse_payload_bits
    from qif2hw.compiler.passes.weights import parse_bits
    from qif2hw.errors import InputError

    known, chosen = {f.name for f in fields(clock.options)}, given_options()
    for name in given:
        if name not in known and name in chosen:
            other = STEPPED if clock is TRIAL else TRIAL
            raise InputError(
                f"--{name.replace('_', '-')}: it is an option for {other.title}, the model is {clock.title}"
            )
    parse: dict[str, Callable[[Any], Any]] = {
        "weight_bits": parse_bits,
        "payload_bits": parse_payload_bits,
        "lateness_moments": parse_moments,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if name in known}
    return clock.options(**{name: parse[name](value) if name in parse else value for name, value in values.items()})
