"""``qif2hw jobs``: what became of submitted jobs, and what to do about it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qif2hw.errors import InputError
from qif2hw_cli.options.common import example, json_option
from qif2hw_cli.output.console import Output

if TYPE_CHECKING:
    from qif2hw_deploy.submission import Task

POLL = 2.0
"""Seconds between two looks at a job."""
STATES = ("failed", "lost", "cancelled", "running", "waiting", "done")


@click.group(epilog=example("qif2hw jobs status", "qif2hw jobs resume jobs/parity-1"))
def command() -> None:
    """Show, end and resume jobs that `qif2hw submit` has handed to Slurm."""


folder_argument = click.argument("folder", type=click.Path(), metavar="FOLDER")


@command.command(epilog=example("qif2hw jobs status", "qif2hw jobs status jobs/parity-1 --json"))
@click.argument("folders", nargs=-1, type=click.Path(), metavar="[FOLDER]...")
@json_option
def status(folders: tuple[str, ...], as_json: bool) -> None:
    """Show the tasks of jobs; without a folder, of all jobs in the folder jobs.

    Exit code 1 if a task has failed, was cancelled or is lost: `qif2hw jobs resume` runs it again.
    """
    from qif2hw_deploy.submission import Job
    from qif2hw_deploy.submission import status as look
    from qif2hw_deploy.submission.job import RECORD

    out = Output(as_json)
    chosen = folders or tuple(str(path.parent) for path in sorted(Path("jobs").glob(f"*/{RECORD}")))
    if not chosen:
        raise InputError("there is no job in the folder 'jobs': name a job's folder")
    found = [(name, look(Job.load(name))) for name in chosen]
    for name, tasks in found:
        out.say(f"{name}: {summary(tasks)}")
        for task in tasks:
            if task.state != "done":
                out.say(f"  {describe(task)}")
    out.data({"jobs": [{"folder": name, "tasks": plain_tasks(tasks)} for name, tasks in found]})
    click.get_current_context().exit(0 if all(_well(tasks) for _, tasks in found) else 1)


@command.command(epilog=example("qif2hw jobs wait jobs/parity-1 --timeout 3600"))
@folder_argument
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Give up after S seconds.")
@json_option
def wait(folder: str, timeout: float | None, as_json: bool) -> None:
    """Wait until nothing of a job runs or waits any more.

    Exit code 0 if all of it is done; 1 if a task has failed, was cancelled or is lost, or time is up.
    """
    from qif2hw_deploy.submission import Job
    from qif2hw_deploy.submission import status as look

    out, start = Output(as_json), time.monotonic()
    with out.stage(f"wait for {folder}") as stage:
        while True:
            tasks = look(Job.load(folder))
            over = sum(task.over for task in tasks)
            stage.update(over, len(tasks))
            if over == len(tasks) or (timeout is not None and time.monotonic() - start > timeout):
                break
            time.sleep(POLL)
    out.say(f"{folder}: {summary(tasks)}")
    out.data({"folder": folder, "tasks": plain_tasks(tasks)})
    click.get_current_context().exit(0 if all(task.state == "done" for task in tasks) else 1)


@command.command(epilog=example("qif2hw jobs cancel jobs/parity-1"))
@folder_argument
@json_option
def cancel(folder: str, as_json: bool) -> None:
    """End what runs or waits of a job. What is done stays, and `qif2hw jobs resume` does the rest."""
    from qif2hw_deploy.submission import Job
    from qif2hw_deploy.submission import cancel as end

    out = Output(as_json)
    ended = [task.name for task in end(Job.load(folder))]
    out.say(f"{folder}: {', '.join(ended) or 'nothing'} cancelled")
    out.data({"folder": folder, "cancelled": ended})


@command.command(epilog=example("qif2hw jobs resume jobs/parity-1"))
@folder_argument
@json_option
def resume(folder: str, as_json: bool) -> None:
    """Submit again what failed, was cancelled or is lost. Shards that are done are kept."""
    from qif2hw_deploy.submission import Job
    from qif2hw_deploy.submission import resume as again

    out = Output(as_json)
    job, tasks = again(Job.load(folder))
    numbers = [one.number for one in job.submitted if {*one.tasks.values()} & {*tasks}]
    words = f"{', '.join(tasks)} submitted again" if tasks else "all of it is done or under way"
    out.say(f"{folder}: {words}")
    out.data({"folder": folder, "submitted": tasks, "slurm_jobs": numbers if tasks else []})


@command.command(epilog=example("qif2hw jobs logs jobs/parity-1", "qif2hw jobs logs jobs/parity-1 --task shard-3"))
@folder_argument
@click.option("--task", metavar="NAME", help="shard-3, join or command; default: all.")
@json_option
def logs(folder: str, task: str | None, as_json: bool) -> None:
    """Print what the tasks of a job have printed."""
    from qif2hw_deploy.submission import Job

    out, job = Output(as_json), Job.load(folder)
    if task is not None and task not in job.request.tasks:
        raise InputError(f"{folder}: has no task '{task}': there are {', '.join(job.request.tasks)}")
    texts = {}
    for name in (task,) if task is not None else job.request.tasks:
        path = job.log(name)
        texts[name] = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        out.say(f"== {path}\n{texts[name] or '(nothing yet)'}")
    out.data({"folder": folder, "logs": texts})


def summary(tasks: "list[Task]") -> str:
    """How many tasks are in which state."""
    counts = {state: sum(task.state == state for task in tasks) for state in STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def describe(task: "Task") -> str:
    """One line."""
    return f"{task.name}: {task.state}{f' ({task.detail})' if task.detail else ''}"


def plain_tasks(tasks: "list[Task]") -> list[dict[str, Any]]:
    """For machines."""
    return [{"name": task.name, "state": task.state, "detail": task.detail} for task in tasks]


def _well(tasks: "list[Task]") -> bool:
    return all(task.state in ("done", "running", "waiting") for task in tasks)
