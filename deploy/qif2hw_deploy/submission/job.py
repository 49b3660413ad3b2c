"""A job: its folder, its tasks, and what became of them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qif2hw.errors import InputError
from qif2hw.files import read_bytes, write_text
from qif2hw.folders import made_folder
from qif2hw_deploy.submission import slurm
from qif2hw_deploy.submission.script import SCRIPT, script

RECORD = "job.json"
FORMAT = 1
MOST_SHARDS = 999_999
_LIMIT = 1 << 24
_LINE = 300


@dataclass(frozen=True)
class Request:
    """What to submit.

    Parameters
    ----------
    words
        The command line, without ``qif2hw``.
    workdir
        Where it runs: relative paths of the command line begin there.
    shards
        Shards of the samples, each a task of its own, and a last task that joins them; 0 for the command as it is.
    cpus
        Cores, and threads, of a task.
    options
        Of sbatch, for every task.
    python
        The interpreter that runs it.
    """

    words: tuple[str, ...]
    workdir: str
    shards: int = 0
    cpus: int = 1
    options: tuple[str, ...] = ()
    python: str = sys.executable

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of its tasks, the last of which is the result."""
        return (*(f"shard-{k + 1}" for k in range(self.shards)), "join") if self.shards else ("command",)


@dataclass(frozen=True)
class Submitted:
    """What Slurm was given: the number of its job, and tasks by their number in its array (0: no array)."""

    number: int
    tasks: dict[int, str]


@dataclass(frozen=True)
class Job:
    """A request with its folder, and what Slurm was given of it, the oldest first."""

    folder: Path
    request: Request
    submitted: tuple[Submitted, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Its record, as JSON values."""
        facts: dict[str, Any] = {"format": FORMAT, "request": asdict(self.request), "submitted": []}
        for one in self.submitted:
            facts["submitted"].append({"number": one.number, "tasks": {str(k): name for k, name in one.tasks.items()}})
        return facts

    def save(self) -> "Job":
        """Write its record."""
        write_text(self.folder / RECORD, json.dumps(self.plain(), indent=2) + "\n")
        return self

    @classmethod
    def load(cls, folder: str | Path) -> "Job":
        """Read its record; `InputError` if the folder holds none."""
        home = Path(folder).absolute()
        path = home / RECORD
        if not path.is_file():
            raise InputError(f"{folder}: holds no job (there is no {RECORD})")
        try:
            facts = json.loads(read_bytes(path, _LIMIT))
            if facts["format"] != FORMAT:
                raise InputError(f"{path}: of format {facts['format']!r:.40}, this version reads {FORMAT}")
            request = _request(facts["request"])
            found = [
                Submitted(int(one["number"]), {int(k): str(name) for k, name in one["tasks"].items()})
                for one in facts["submitted"]
            ]
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise InputError(f"{path}: not the record of a job ({type(error).__name__}: {error})") from None
        return cls(home, request, tuple(found))

    def log(self, task: str) -> Path:
        """What a task has printed."""
        return self.folder / f"{task}.log"


@dataclass(frozen=True)
class Task:
    """What became of a task.

    ``state`` is ``done``, ``failed`` (it ended with an error, of which ``detail`` is the last line), ``running``,
    ``waiting``, ``cancelled`` or ``lost`` (its process or node ended, or Slurm does not know it any more).
    """

    name: str
    state: str
    detail: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state not in ("running", "waiting")


def _request(given: Any) -> Request:
    """From JSON values; a `TypeError` or `KeyError` where they are others."""
    texts = {name: given[name] for name in ("workdir", "python")}
    numbers = {name: given[name] for name in ("shards", "cpus")}
    lists = {name: (*given[name],) for name in ("words", "options")}
    if not all(isinstance(text, str) for text in [*texts.values(), *lists["words"], *lists["options"]]):
        raise TypeError("texts are needed")
    if not all(type(number) is int and 0 <= number <= MOST_SHARDS for number in numbers.values()):
        raise TypeError("shards and cpus are whole numbers")
    return Request(**given | texts | numbers | lists)


def submit(folder: Path, request: Request) -> Job:
    """Make the folder, and hand all tasks to Slurm.

    Raises
    ------
    InputError
        If the folder exists and is not empty, or Slurm refuses: then nothing is left, of the folder or in the queue.
    """
    folder = folder.absolute()
    if any(sign in str(folder) for sign in "%\\\n"):
        raise InputError(f"{folder}: a job's folder cannot have %, \\ or a line break in its name: Slurm replaces them")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already: take another folder, or resume the job in it")
    text = script(
        request.words,
        python=request.python,
        workdir=Path(request.workdir),
        folder=folder,
        shards=request.shards,
        cpus=request.cpus,
    )
    with made_folder(folder):
        try:
            write_text(folder / SCRIPT, text)
            return _hand_in(Job(folder, request).save(), request.tasks)
        except InputError:
            for name in (RECORD, SCRIPT):
                (folder / name).unlink(missing_ok=True)
            raise


def status(job: Job) -> list[Task]:
    """What became of each task."""
    known: dict[str, tuple[str, str]] = {}
    unfinished = {name for name in job.request.tasks if _exit_code(job, name) != 0}
    for one in job.submitted:
        if unfinished & {*one.tasks.values()}:
            found = slurm.states(one.number)
            # What a later job says about a task holds.
            known |= {name: found[k] for k, name in one.tasks.items() if k in found}
            for k, name in one.tasks.items():
                if k not in found:
                    known.pop(name, None)
    return [_task(job, name, known.get(name)) for name in job.request.tasks]


def cancel(job: Job) -> list[Task]:
    """End what runs or waits; returns the tasks that were ended."""
    ended = [task for task in status(job) if not task.over]
    if ended:
        slurm.cancel(one.number for one in job.submitted)
    return ended


def resume(job: Job) -> tuple[Job, list[str]]:
    """Hand in again what is neither done nor under way; returns the job, and names of the tasks handed in.

    Shards that are done are not repeated.
    """
    tasks = status(job)
    if tasks[-1].state == "done":
        return job, []
    again = [task.name for task in tasks[:-1] if task.over and task.state != "done"]
    if tasks[-1].over:
        again.append(tasks[-1].name)
    elif again:
        # It would not wait for the others.
        slurm.cancel([one.number for one in job.submitted if tasks[-1].name in one.tasks.values()][-1:])
        again.append(tasks[-1].name)
    for name in again:
        (job.folder / f"{name}.exit").unlink(missing_ok=True)
    return _hand_in(job, again), again


def _hand_in(job: Job, tasks: Sequence[str]) -> Job:
    """Give tasks to Slurm; those that are not last as an array, for whose end the last one waits."""
    request, last = job.request, job.request.tasks[-1]
    common = [*request.options, f"--cpus-per-task={request.cpus}", "--open-mode=append"]
    path = str(job.folder / SCRIPT)
    numbers = {int(name.removeprefix("shard-")): name for name in tasks if name != last}
    if numbers:
        own = [f"--array={slurm.ranges([*numbers])}", f"--output={job.folder / 'shard-%a.log'}"]
        number = slurm.submit([path], [*common, *own])
        job = replace(job, submitted=(*job.submitted, Submitted(number, numbers))).save()
    if last in tasks:
        own = [f"--output={job.log(last)}"]
        before = [str(one.number) for one in job.submitted if last not in one.tasks.values() and _under_way(one)]
        if before:
            # Not afterok: the last task says which shards are missing, a job that waits for ever says nothing.
            own.append(f"--dependency=afterany:{':'.join(before)}")
        try:
            number = slurm.submit([path, last], [*common, *own])
        except InputError:
            if numbers:
                slurm.cancel([job.submitted[-1].number])
            raise
        job = replace(job, submitted=(*job.submitted, Submitted(number, {0: last}))).save()
    return job


def _under_way(one: Submitted) -> bool:
    return any(state in (*slurm.WAITING, *slurm.RUNNING) for state, _ in slurm.states(one.number).values())


def _task(job: Job, name: str, known: tuple[str, str] | None) -> Task:
    code = _exit_code(job, name)
    if code == 0:
        return Task(name, "done")
    state, reason = known or ("", "")
    if state in slurm.WAITING:
        return Task(name, "waiting", "" if reason == "None" else reason)
    if state in slurm.RUNNING:
        return Task(name, "running")
    if state == "CANCELLED":
        return Task(name, "cancelled")
    if code is not None and code < 128:
        return Task(name, "failed", f"exit code {code}: {_last_line(job.log(name))}")
    if code is not None:
        return Task(name, "lost", f"ended by signal {code - 128}")
    return Task(name, "lost", state.lower() or "Slurm does not know it any more")


def _exit_code(job: Job, name: str) -> int | None:
    """What the script left when its command ended; None if it has not, or was ended itself."""
    try:
        text = (job.folder / f"{name}.exit").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return int(text) if text.isdecimal() else None


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "(no log)"
    return next((line.strip() for line in reversed(lines) if line.strip()), "(empty log)")[:_LINE]
