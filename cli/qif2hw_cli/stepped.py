"""What commands do with networks with a stepped clock."""

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from qif2hw.errors import InputError
from qif2hw_cli.console import Output, seconds, size

if TYPE_CHECKING:
    from qif2hw.backends import Backend
    from qif2hw.bundle import SteppedBundle
    from qif2hw.ir.arrays import FloatArray
    from qif2hw.ir.stepped import SteppedNetwork

TAKEN = ("model", "output", "weight_bits", "calibration", "thresholds", "as_json")
"""Parameters of ``qif2hw compile`` that apply to networks with a stepped clock."""


def refuse_given(clock: str, *names: str) -> None:
    """`InputError` if one of these options of the command was given: it is for ``clock`` alone."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise InputError(f"--{name.replace('_', '-')}: it is an option for {clock}, which this model is not")


def compile_stepped(
    out: Output,
    network: "SteppedNetwork",
    output: str | None,
    calibration: str | None,
    weight_bits: str,
    thresholds: str,
) -> None:
    """``qif2hw compile`` of a network with a stepped clock."""
    from qif2hw import api
    from qif2hw import bundle as bundles
    from qif2hw_cli.inputs import read_inputs

    refuse_given("an event-driven network", *(p for p in click.get_current_context().params if p not in TAKEN))
    if output is None:
        raise InputError("no place for the bundle: give one with -o M.qif")
    if calibration is None:
        raise InputError("a network in time steps needs typical inputs, for their range: --calibration X.npy")
    bundles.check_writable(output)
    x = read_inputs(calibration, network.check_inputs)
    try:
        bits = int(weight_bits)
    except ValueError:
        raise InputError(f"weight bits = {weight_bits}: a whole number is needed") from None
    with out.stage("compile") as stage:
        bundle = api.compile_stepped(network, x, weight_bits=bits, thresholds=thresholds)
        path = bundle.save(output)
    written = sum(part.stat().st_size for part in path.iterdir()) if path.is_dir() else path.stat().st_size
    ranges = bundle.report["ranges"]
    rows = [[name, *(str(found[key]) for key in ("low", "high", "register"))] for name, found in ranges.items()]
    out.table("proven ranges, within 24 bits", ["population", "least input", "largest input", "register"], rows)
    out.say(f"{output}: {size(written)}, compiled in {seconds(stage.seconds)}")
    out.data({"bundle": output, "bytes": written, "options": bundle.options, "report": bundle.report})


def run_stepped(
    out: Output, bundle: "SteppedBundle", x: "FloatArray", backend: "Backend", output: str, options: dict[str, Any]
) -> None:
    """``qif2hw run`` of a network with a stepped clock."""
    from qif2hw_cli.inputs import write_run

    with out.stage(f"run on {backend.name}") as stage:
        result = backend.run_stepped(bundle, x, progress=stage.update, **options)
        write_run(output, result)
    samples, outputs = result.y.shape
    spikes = {name: float(fired.sum()) / samples for name, fired in result.spikes.items()}
    out.say(
        f"{output}: {samples} samples, {outputs} outputs, backend {result.backend}, {seconds(result.seconds)}; "
        f"{sum(spikes.values()):.4g} spikes per sample"
    )
    out.data(
        {
            "output": output,
            "backend": result.backend,
            "samples": samples,
            "outputs": outputs,
            "spikes_per_sample": spikes,
            "seconds": result.seconds,
        }
    )
