"""What ``qif2hw train`` learns: a shipped task, one that a Python file defines, or a table of data."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qif2hw.errors import InputError

if TYPE_CHECKING:
    from qif2hw.data.columns import Numbers
    from qif2hw.train import Task
    from qif2hw_cli.output.console import Output

LEARNED = ("targets", "classify")
"""Options that say what to learn from a table."""
TABLE = ("inputs", *LEARNED, "first_spike", "categorical", "drop_missing", "hidden")
"""Options for tables alone."""


def is_data(name: str, given: set[str]) -> bool:
    """Whether DATA is a table: by its name, or since an option says what to learn from it."""
    if given & set(LEARNED):
        return True
    if not Path(name).suffix:
        return False
    from qif2hw.data.table import is_table

    return is_table(name)


def is_file_of_task(name: str) -> bool:
    """Whether DATA is ``file.py:task``."""
    return name.rpartition(":")[0].endswith(".py")


def read(path: str, options: dict[str, Any]) -> "tuple[Numbers, tuple[str, ...]]":
    """Inputs and targets in a table, and remarks; errors are those of `read_table` and `choose`."""
    from qif2hw.data.columns import Choice, choose
    from qif2hw.data.table import read_table

    choice = Choice(
        inputs=_names(options["inputs"]),
        targets=_names(options["targets"]),
        label=options["classify"] or "",
        categorical=tuple(name for text in options["categorical"] for name in _names(text)),
        drop_missing=options["drop_missing"],
    )
    return choose(read_table(path), choice)


def sizes(text: str | None) -> tuple[int, ...] | None:
    """Sizes of the hidden layers, as ``64,64``; None for the default."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) < 1 << 20 for part in parts):
        raise InputError(f"--hidden {text}: sizes of one or more layers, as 64,64, are needed")
    return tuple(map(int, parts))


def table_task(
    out: "Output",
    path: str,
    numbers: "Numbers",
    *,
    hidden: tuple[int, ...] | None,
    fields: int | None,
    finish: int | None,
    first_spike: bool,
    seed: int,
    time_limit: float | None,
    state: Path,
) -> "Task":
    """The task to learn from a table, after a comparison of numbers of receptive fields.

    A run that goes on from its ``state`` has the number of fields that it had.
    """
    from qif2hw.train.tables import TableOptions, choose_fields
    from qif2hw.train.tables import table_task as make

    name = Path(path).name
    options = TableOptions(hidden=hidden, fields=fields, finish=finish, first_spike=first_spike)
    if fields is None and state.exists():
        options = replace(options, fields=_fields_of(state, numbers))
    with out.stage("compare receptive fields") as stage:
        found = choose_fields(name, numbers, options, seed, time_limit=time_limit, progress=stage.update)
    if found.losses:
        losses = ", ".join(f"{loss:.3g} with {count}" for count, loss in sorted(found.losses.items()))
        out.say(f"--fields {found.fields}, by the validation loss after a short training: {losses}")
    return make(name, numbers, replace(options, fields=found.fields), seed)


def _fields_of(state: Path, numbers: "Numbers") -> int | None:
    """Receptive fields of each input in a run's state; None where it is that of another run."""
    from qif2hw.train.checkpoint import read_state

    sizes = read_state(state, {})[0].get("sizes")
    if not (isinstance(sizes, list) and sizes and type(sizes[0]) is int):
        return None
    count, others = divmod(sizes[0], numbers.x.shape[1])
    return count if count > 0 and others == 0 else None


def task_in(name: str) -> "Task":
    """The task that ``file.py:task`` names; the file is executed.

    Raises
    ------
    InputError
        If the file cannot be executed, or defines no task of that name.
    """
    from qif2hw.train import Task

    path, _, variable = name.rpartition(":")
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        found = runpy.run_path(path, run_name=Path(path).stem).get(variable)
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: executing this file failed ({line})") from error
    if not isinstance(found, Task):
        what = "does not define it" if found is None else f"defines a {type(found).__name__} of that name"
        raise InputError(f"{name}: a qif2hw.train.Task is needed, the file {what}")
    return found


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
