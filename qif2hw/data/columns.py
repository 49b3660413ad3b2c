"""Columns of a table as inputs and targets: numbers, categories side by side, labels; what is missing is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.data.table import Table, listed, number
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray

LEAST_ROWS = 10
"""Smallest number of rows that can be trained on."""
MOST_CATEGORIES = 1000
"""Largest number of values of a column of categories."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a network learns: inputs, and targets or classes.

    Parameters
    ----------
    x
        Inputs (rows, inputs).
    y
        Targets (rows, targets); numbers of classes, (rows,), where there are ``classes``.
    inputs, targets
        Names of the columns.
    classes
        Names of the classes; empty for a regression.
    """

    x: FloatArray
    y: FloatArray | IntArray
    inputs: tuple[str, ...]
    targets: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which columns of a table are what.

    Parameters
    ----------
    inputs
        Names; none for all that are no target.
    targets
        Names of columns of numbers to learn.
    label
        Name of a column of classes to learn instead.
    categorical
        Names of inputs whose values are categories: an input ``NAME=VALUE``, 0 or 1, is made of each value.
    drop_missing
        Leave out rows that have a chosen column without a value; else they are refused.
    """

    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    label: str = ""
    categorical: tuple[str, ...] = ()
    drop_missing: bool = False


def choose(table: Table, choice: Choice) -> tuple[Numbers, tuple[str, ...]]:
    """The inputs and targets in a table, and remarks on what was left out.

    Columns of one value are left out with a remark where all are inputs by default.

    Raises
    ------
    InputError
        On names that there are not, text and missing values (with row and column), constant columns that are named,
        too few rows, and a label of a single class.
    """
    if bool(choice.targets) == bool(choice.label):
        raise InputError(
            f"{table.name}: either targets (--targets, numbers) or a label (--classify, classes) to learn must be "
            f"named: there are {listed(table.columns)}"
        )
    wanted = table.named([choice.label] if choice.label else choice.targets)
    inputs = table.named(choice.inputs) if choice.inputs else [name for name in table.columns if name not in wanted]
    categorical = table.named(choice.categorical)
    for name in wanted:
        if name in inputs:
            raise InputError(f"{table.name}: column '{name}' is an input and a target")
    for name in categorical:
        if name not in inputs:
            raise InputError(f"{table.name}: column '{name}' is categorical and no input")
    if not inputs:
        raise InputError(f"{table.name}: there is no column left for the inputs")
    table, remarks = _complete(table, [*inputs, *wanted], choice.drop_missing)
    if table.rows < LEAST_ROWS:
        raise InputError(f"{table.name}: {table.rows} rows: at least {LEAST_ROWS} are needed")
    kept = [name for name in inputs if len({*table.columns[name].tolist()}) > 1]
    constant = [name for name in inputs if name not in kept]
    if constant and (choice.inputs or not kept):
        raise InputError(f"{table.name}: columns with one value only: {', '.join(constant)}: they cannot be inputs")
    if constant:
        remarks += (f"left out, since they have one value only: {', '.join(constant)}",)
    columns: dict[str, FloatArray] = {}
    for name in kept:
        columns |= _categories(table, name) if name in categorical else {name: numbers(table, name, "categorical")}
    if len(columns) < sum(len(_values(table, n)) if n in categorical else 1 for n in kept):
        raise InputError(f"{table.name}: a category and another column have the same name")
    x = np.column_stack(list(columns.values()))
    if choice.label:
        label, classes = _classes(table, wanted[0])
        return Numbers(x, label, tuple(columns), classes=classes), remarks
    y = np.column_stack([numbers(table, name, "classify") for name in wanted])
    for k, name in enumerate(wanted):
        if np.ptp(y[:, k]) == 0:
            raise InputError(f"{table.name}: target '{name}' has one value only")
    return Numbers(x, y, tuple(columns), targets=tuple(wanted)), remarks


def inputs_of(table: Table, names: Sequence[str]) -> tuple[FloatArray, tuple[str, ...]]:
    """Columns ``names`` of a table, in that order, (rows, columns), and the columns that are no input.

    A name ``NAME=VALUE`` that there is not is made of the column ``NAME``: 1 where it has that value.

    Raises
    ------
    InputError
        On columns that there are not, text, missing values, and categories that none of ``names`` has.
    """
    used: set[str] = set()
    columns: list[FloatArray] = []
    for name in names:
        column, _, value = name.partition("=")
        if name not in table.columns and value and column in table.columns:
            known = [other.partition("=")[2] for other in names if other.partition("=")[0] == column]
            columns.append(_one_of(table, column, value, known))
            used.add(column)
        else:
            columns.append(numbers(table, table.named([name])[0], None))
            used.add(name)
    return np.column_stack(columns), tuple(name for name in table.columns if name not in used)


def labels_of(table: Table, name: str) -> list[str]:
    """The classes in a column, (rows,), as `choose` names them; `InputError` on no column and missing values."""
    columns = table.named([name])
    if len(columns) != 1:
        raise InputError(f"{table.name}: '{name}' are {len(columns)} columns: one of classes is needed")
    complete, _ = _complete(table, columns, drop=False)
    return _texts(complete.columns[columns[0]])


def numbers(table: Table, name: str, option: str | None) -> FloatArray:
    """A column as numbers, (rows,); `InputError` with the row on text, on what is not finite, and on missing values.

    ``option`` is what the message says can be done about text.
    """
    values = table.columns[name]
    help_ = "" if option is None else f" (--{option} {name} takes its values as {_AS[option]})"
    if values.dtype == object:
        found = [None if value is None else number(value) for value in values]
        if None in found:
            row = found.index(None)
            if values[row] is None:
                raise InputError(f"{table.where(row, name)}: there is no value")
            raise InputError(f"{table.where(row, name)}: '{values[row]}' is no number{help_}")
        values = np.array(found)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        row = int(wrong[0])
        what = "there is no value" if np.isnan(values[row]) else f"{values[row]} is not finite"
        raise InputError(f"{table.where(row, name)}: {what}")
    return values.astype(np.float64)


_AS = {"categorical": "categories", "classify": "classes"}


def _complete(table: Table, names: list[str], drop: bool) -> tuple[Table, tuple[str, ...]]:
    """The table without rows that lack a value of ``names``; `InputError` names the first where they are to stay."""
    gone = np.zeros(table.rows, bool)
    for name in names:
        values = table.columns[name]
        missing = np.array([v is None for v in values]) if values.dtype == object else np.isnan(values)
        if missing.any() and not drop:
            raise InputError(
                f"{table.where(int(np.flatnonzero(missing)[0]), name)}: there is no value "
                "(--drop-missing leaves such rows out)"
            )
        gone |= missing
    if not gone.any():
        return table, ()
    kept = np.flatnonzero(~gone)
    columns = {name: values[kept] for name, values in table.columns.items()}
    remark = f"{int(gone.sum())} of {table.rows} rows left out, since values are missing"
    return replace(table, columns=columns, lines=[table.lines[k] for k in kept]), (remark,)


def _texts(values: NDArray[Any]) -> list[str]:
    """Categories and classes as texts: whole numbers without a point."""
    return [f"{v:.17g}" if isinstance(v, float) else str(v) for v in values.tolist()]


def _values(table: Table, name: str) -> list[str]:
    """The different values of a column, sorted as numbers where they are numbers."""
    values = {*_texts(table.columns[name])}
    return sorted(values, key=float) if None not in map(number, values) else sorted(values)


def _categories(table: Table, name: str) -> dict[str, FloatArray]:
    values = _values(table, name)
    if len(values) > MOST_CATEGORIES:
        raise InputError(f"{table.name}: column '{name}' has {len(values)} categories, more than {MOST_CATEGORIES}")
    texts = np.array(_texts(table.columns[name]), object)
    return {f"{name}={value}": (texts == value).astype(np.float64) for value in values}


def _one_of(table: Table, name: str, value: str, known: list[str]) -> FloatArray:
    values = table.columns[name]
    for row, text in enumerate(_texts(values)):
        if text not in known:
            missing = values[row] is None or (values.dtype != object and np.isnan(values[row]))
            what = "there is no value" if missing else f"the model knows no '{text}', but {', '.join(known)}"
            raise InputError(f"{table.where(row, name)}: {what}")
    return np.array([text == value for text in _texts(values)], np.float64)


def _classes(table: Table, name: str) -> tuple[IntArray, tuple[str, ...]]:
    values = _values(table, name)
    if not 2 <= len(values) <= MOST_CATEGORIES:
        raise InputError(f"{table.name}: label '{name}' has {len(values)} classes: 2 to {MOST_CATEGORIES} are needed")
    number = {value: k for k, value in enumerate(values)}
    return np.array([number[text] for text in _texts(table.columns[name])], np.int64), tuple(values)
