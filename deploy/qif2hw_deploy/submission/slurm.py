"""Slurm's commands: each with a time limit, each error one line."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence

from qif2hw.errors import InputError

LIMIT = 60.0
"""Seconds to wait for an answer."""
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "RESIZING", "STAGE_OUT")
RUNNING = ("RUNNING", "COMPLETING", "SIGNALING")
_FIELD = re.compile(r"(?:^|\s)(JobId|ArrayTaskId|JobState|Reason)=(\S+)")


def ask(*words: str) -> str:
    """What a command of Slurm prints.

    Raises
    ------
    InputError
        If it is not installed, fails, or does not answer in time.
    """
    if shutil.which(words[0]) is None:
        raise InputError(f"there is no {words[0]} here: `qif2hw submit` needs a machine that submits to Slurm")
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{words[0]} has not answered in {LIMIT:g} s: is Slurm's controller running?") from None
    if done.returncode:
        said = [line.removeprefix(f"{words[0]}: ").removeprefix("error: ") for line in done.stderr.splitlines()]
        raise InputError(f"{words[0]}: {'; '.join(said[-2:]) or f'exit code {done.returncode}'}")
    return done.stdout


def check_partition(name: str) -> None:
    """`InputError` unless there is a partition of this name; the message lists those there are."""
    known = sorted({*ask("sinfo", "--noheader", "--format=%R").split()})
    if name not in known:
        raise InputError(f"no partition '{name}': there are {', '.join(known) or 'none'}")


def submit(script: Sequence[str], options: Iterable[str]) -> int:
    """Hand in a script with its arguments; the number of the job."""
    printed = ask("sbatch", "--parsable", *options, *script).strip()
    number = printed.split(";")[0]
    if not number.isdecimal():
        raise InputError(f"sbatch printed '{printed}' where the number of a job was expected")
    return int(number)


def cancel(jobs: Iterable[int]) -> None:
    """End jobs, those that run and those that wait; of jobs that are over nothing is said."""
    ask("scancel", "--quiet", *map(str, jobs))


def states(job: int) -> dict[int, tuple[str, str]]:
    """State and reason of a job by number of the array's task, 0 for a job without array; empty if Slurm forgot it."""
    try:
        printed = ask("scontrol", "--oneliner", "show", "job", str(job))
    except InputError as error:
        if "Invalid job id" in str(error):
            return {}
        raise
    found = {}
    for line in printed.splitlines():
        values = dict(_FIELD.findall(line))
        if "JobState" in values:
            for task in _numbers(values.get("ArrayTaskId", "0")):
                found[task] = (values["JobState"], values.get("Reason", ""))
    return found


def _numbers(text: str) -> list[int]:
    """Of ``1,3-5%2``: 1, 3, 4, 5."""
    found: list[int] = []
    for part in text.partition("%")[0].split(","):
        low, _, high = part.partition("-")
        if low.isdecimal():
            found.extend(range(int(low), int((high or low).partition(":")[0]) + 1))
    return found


def ranges(numbers: Sequence[int]) -> str:
    """An array's numbers as sbatch takes them: ``1-3,7``."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in found)
