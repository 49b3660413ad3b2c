"""``qif2hw doctor``: what this installation can do."""

from dataclasses import asdict

import click

from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.output.console import Output


@click.command(epilog=example("qif2hw doctor", "qif2hw doctor --warm"))
@click.option("--warm", is_flag=True, help="Compile the kernels that most commands need, and keep their machine code.")
@json_option
def command(warm: bool, as_json: bool) -> None:
    """Say what is installed, what is missing and which command brings it.

    Looks at Python, threads, extras, backends (Lava is looked for where `qif2hw run` would), compilers, Slurm and data;
    it changes nothing. With --warm it also does small pieces of the work of commands, so that the first real command
    does not wait for the compiler.
    """
    from qif2hw import doctor

    out = Output(as_json)
    with out.stage("doctor"):
        found = list(doctor.findings())
    there = [[f.what, f.found] for f in found if f.found is not None]
    out.table("Found", ["what", "version or place"], there, names=2)
    missing = [[f.what, f.needed_for, f.remedy or ""] for f in found if f.found is None]
    if missing:
        out.table("Missing", ["what", "needed for", "what brings it"], missing, names=3)
    kernels: list[str] | None = None
    if warm:
        with out.stage("warm") as stage:
            kernels = doctor.warm(stage.update)
        out.say(f"{len(kernels)} kernels compiled" if kernels else "machine code of all kernels was kept already")
    out.data({"findings": [asdict(f) for f in found], "compiled": kernels})
