"""``qif2hw submit``: a command as a job of a Slurm cluster."""

from pathlib import Path
from typing import Any

import click

from qif2hw.errors import InputError
from qif2hw_cli.options import streams
from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.options.streams import OUTPUT_FOLDER
from qif2hw_cli.output.console import Output

HOME = Path("jobs")
"""Where jobs have their folders, if they are given none."""
SHARDED = ("run", "parity")
"""Commands whose samples can be run in shards."""


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog=example(
        "qif2hw submit --partition batch -- run model.qif --inputs x.npy -o out.npz",
        "qif2hw submit --shards 16 --time 30 -- parity model.qif --inputs x.npy --report report.html",
        "qif2hw jobs status",
    ),
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND ...")
@click.option("--partition", metavar="NAME", help="Of the cluster; default: the cluster's own.")
@click.option(
    "--shards", type=int, default=0, metavar="N", help="run, parity: N tasks, each with a part of the samples."
)
@click.option("--cpus", type=click.IntRange(min=1), default=1, show_default=True, help="Cores, and threads, of a task.")
@click.option("--time", metavar="LIMIT", help="Time limit of a task: minutes, or as sbatch takes it (1-12:00:00).")
@click.option("--memory", metavar="SIZE", help="Memory of a task, as sbatch takes it (4G).")
@click.option(
    "--sbatch", "more", multiple=True, metavar="OPTION", help="Any other option of sbatch: --sbatch=--account=A"
)
@click.option(
    "--folder", type=OUTPUT_FOLDER, help="The job's folder; default: jobs/COMMAND-N, the first N that is free."
)
@json_option
def command(
    words: tuple[str, ...],
    partition: str | None,
    shards: int,
    cpus: int,
    time: str | None,
    memory: str | None,
    more: tuple[str, ...],
    folder: str | None,
    as_json: bool,
) -> None:
    """Hand a command to Slurm's sbatch.

    The job's folder holds the script, logs, exit codes and what has been computed; `qif2hw jobs` shows, ends and
    resumes jobs. With --shards the samples are run in an array of tasks, and a last task joins them: the results are
    those of one run, bit for bit. On Intel's cluster with chips (INRC) do not submit: Lava's driver does it.
    """
    from qif2hw_deploy.submission import Request, slurm
    from qif2hw_deploy.submission import submit as hand_in

    out = Output(as_json)
    options = {"--partition": partition, "--time": time, "--mem": memory}
    if partition is not None:
        slurm.check_partition(partition)
    count = check(words, shards)
    home = Path(folder) if folder is not None else _free(words[0])
    given = (f"--job-name=qif2hw-{words[0]}", *(f"{name}={value}" for name, value in options.items() if value), *more)
    job = hand_in(home, Request(words, str(Path.cwd()), count, cpus, given))
    numbers = [one.number for one in job.submitted]
    out.say(f"{home}: {len(job.request.tasks)} tasks, Slurm jobs {', '.join(map(str, numbers))}")
    out.say(f"qif2hw jobs status {home}")
    out.data({"folder": str(home), "slurm_jobs": numbers, "shards": count, "tasks": [*job.request.tasks]})


def check(words: tuple[str, ...], shards: int) -> int:
    """Refuse what would fail on the cluster; returns the number of shards.

    Raises
    ------
    InputError
        If there is no such command, its arguments or inputs are wrong, or it cannot be run in so many shards.
    click.UsageError
        If it does not take these options.
    """
    name, given = words[0], [*words[1:]]
    parent = click.get_current_context().parent or click.get_current_context()
    commands = parent.find_root().command
    assert isinstance(commands, click.Group)
    found = None if name in ("submit", "jobs") else commands.get_command(parent, name)
    if found is None:
        raise InputError(f"'{name}' cannot be submitted: give a command of qif2hw, like -- run model.qif ...")
    parent.meta[streams.NONE] = True
    params = found.make_context(name, given, parent=parent).params
    if shards and name not in SHARDED:
        raise InputError(f"--shards {shards}: {name} has no samples to be run in shards ({' and '.join(SHARDED)} have)")
    if shards < 0 or shards == 1:
        raise InputError(f"--shards {shards}: two or more, or none, are possible")
    if name in SHARDED:
        samples = _samples(name, params)
        if shards:
            if samples is None:
                raise InputError(f"--shards {shards}: {params['bundle']} is a folder of bundles, which is one task")
            from qif2hw.workers import Shard

            Shard(1, shards).of(samples)
    return shards


def _samples(name: str, params: dict[str, Any]) -> int | None:
    """How many samples a command runs, once its bundle, inputs and outputs are seen to be right; None of a folder."""
    from qif2hw import bundle as bundles
    from qif2hw.files import check_writable
    from qif2hw_cli.files.inputs import inputs_or_default

    if params["shards"] or params["shard"]:
        raise InputError("--shards stands before the command: qif2hw submit --shards N -- ...")
    if "loihi2" in (params.get("backend") or params.get("chosen") or "").split(","):
        raise InputError(
            "backend 'loihi2': Lava's driver submits to the cluster with chips itself: run it without submit"
        )
    for output in ("output", "report", "json_path"):
        if params.get(output) not in (None, "-"):
            check_writable(params[output])
    if name == "parity" and bundles.is_folder_of_bundles(params["bundle"]):
        return None
    loaded = bundles.load_any(params["bundle"])
    return len(inputs_or_default(loaded, params["inputs"]))


def _free(name: str) -> Path:
    number = 1
    while (HOME / f"{name}-{number}").exists():
        number += 1
    return HOME / f"{name}-{number}"
