"""``qif2hw run``: a bundle on a backend."""

import click

from qif2hw_cli.console import Output, example, json_option, seconds


@click.command(
    epilog=example(
        "qif2hw run model.qif --inputs x.npy -o out.npz",
        "qif2hw run model.qif --inputs x.npy -o out.npz --backend lava --timeout 120",
    )
)
@click.argument("bundle", type=click.Path())
@click.option("--inputs", required=True, type=click.Path(), metavar="X.npy", help="Array (samples, inputs) in [0, 1].")
@click.option("-o", "--output", required=True, type=click.Path(), metavar="OUT.npz", help="The results to write.")
@click.option(
    "--backend",
    type=click.Choice(["engine", "lava", "reference", "loihi2"]),
    default="engine",
    show_default=True,
    help="Integer machine; Lava's CPU simulator; exact float network; chip.",
)
@click.option(
    "--mode",
    type=click.Choice(["fused", "modular"]),
    default="fused",
    show_default=True,
    help="Lava: one Process for all samples, or a graph of Processes (slow).",
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Lava: end it after so many seconds.")
@json_option
def command(
    bundle: str, inputs: str, output: str, backend: str, mode: str, timeout: float | None, as_json: bool
) -> None:
    """Run a compiled network on inputs.

    \b
    OUT.npz holds
      y           (samples, outputs) the decoded result
      spike_time  (samples, output neurons) first spikes in time units, pseudospikes included
      ordinary    (samples, output neurons) whether that spike is an ordinary one
      step, lateness   the same in machine steps and ticks (engine, lava)
    """  # noqa: D301  # click wants the character, not the escape
    from qif2hw import api
    from qif2hw import bundle as bundles
    from qif2hw.files import check_writable
    from qif2hw_cli.inputs import read_inputs, write_run

    out = Output(as_json)
    check_writable(output)
    loaded = bundles.load(bundle)
    x = read_inputs(inputs, loaded.program.inputs)
    with out.stage(f"run on {backend}") as stage:
        result = api.run(loaded, x, backend=backend, mode=mode, timeout=timeout, progress=stage.update)
        write_run(output, result)
    samples, outputs = result.y.shape
    ordinary = float(result.ordinary.mean())
    out.say(
        f"{output}: {samples} samples, {outputs} outputs, backend {result.backend}, {seconds(result.seconds)}; "
        f"{100 * ordinary:.4g} % of the output spikes are ordinary"
    )
    out.data(
        {
            "output": output,
            "backend": result.backend,
            "samples": samples,
            "outputs": outputs,
            "ordinary_fraction": ordinary,
            "spikes": {name: len(spikes) for name, spikes in result.spikes.items()},
            "seconds": result.seconds,
        }
    )
