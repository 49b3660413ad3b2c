"""Tables of data from CSV, npz and parquet files: columns by name, numbers or text.

In a CSV file the first line holds the names; the delimiter (comma, semicolon or tab) is the most frequent one in it.
An npz file holds a column in each array; an array ``x`` (rows, columns) holds the columns ``x0``, ``x1`` ...  Parquet
needs pyarrow (the extra ``tables``).
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.files import read_bytes

MISSING = frozenset(("", "na", "n/a", "nan", "null", "?"))
"""Cells of CSV files that hold no value, in lower case."""
SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
"""Names of files that are tables, whatever is in them."""

_LARGEST = 1 << 32
_DELIMITERS = ",;\t"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by name.

    Parameters
    ----------
    name
        Of the file, for messages.
    columns
        By name, (rows,): float64, where ``nan`` is no value, or objects, texts and None where there is no value.
    lines
        What to call each row in messages, (rows,): its line in a CSV file.
    groups
        Names of the columns of a two-dimensional array, by the array's name.
    """

    name: str
    columns: Mapping[str, NDArray[Any]]
    lines: Sequence[int]
    groups: Mapping[str, Sequence[str]]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lines)

    def named(self, names: Sequence[str]) -> list[str]:
        """Columns that ``names`` means, those of a group in place of the group.

        Raises
        ------
        InputError
            If a name is empty or used twice, or there is no such column: the message lists those there are.
        """
        found: list[str] = []
        for name in names:
            if name not in self.columns and name not in self.groups:
                raise InputError(f"{self.name}: there is no column '{name}': there are {listed(self.columns)}")
            found += [name] if name in self.columns else self.groups[name]
        for name in found:
            if found.count(name) > 1:
                raise InputError(f"{self.name}: column '{name}' is named twice")
        return found

    def where(self, row: int, column: str) -> str:
        """A cell, for messages."""
        return f"{self.name}: row {self.lines[row]}, column '{column}'"


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a table by its name."""
    return Path(path).suffix.lower() in SUFFIXES


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table from a file of any of the formats, which its first bytes tell.

    Raises
    ------
    InputError
        If it cannot be read, or is no table: the message has the line and the column.
    """
    return parse(read_bytes(path, _LARGEST), str(path))


def parse(data: bytes, name: str) -> Table:
    """A table from the bytes of a file; ``name`` is for messages.  Errors are those of `read_table`."""
    kinds = ((b"PK", _npz), (b"PAR1", _parquet), (b"\x93NUMPY", _npy))
    read = next((read for start, read in kinds if data.startswith(start)), _csv)
    table = read(data, name)
    if not table.columns or not table.rows:
        raise InputError(f"{name}: the table has no {'rows' if table.columns else 'columns'}")
    return table


def _csv(data: bytes, name: str) -> Table:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not a CSV file in UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise InputError(f"{name}: not a CSV file (it holds a zero byte)")
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    cells: list[list[str]] = []
    lines: list[int] = []
    try:
        for line in reader:
            row = [cell.strip() for cell in line]
            if not any(row) and len(row) <= 1:
                continue
            if not header:
                header = row
                _check_header(header, name)
                continue
            if len(row) != len(header):
                raise InputError(
                    f"{name}: line {reader.line_num} has {len(row)} cells, the first line names {len(header)} columns"
                )
            cells.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{name}: line {reader.line_num} is no line of a CSV file ({error})") from None
    columns = {column: _column([row[k] for row in cells]) for k, column in enumerate(header)}
    return Table(name, columns, lines, {})


def _check_header(header: list[str], name: str) -> None:
    if all(number(cell) is not None for cell in header):
        raise InputError(f"{name}: the first line holds numbers: it must name the columns")
    for k, column in enumerate(header, start=1):
        if not column:
            raise InputError(f"{name}: column {k} has no name in the first line")
        if header.count(column) > 1:
            raise InputError(f"{name}: two columns are named '{column}'")


def _column(cells: list[str]) -> NDArray[Any]:
    """Numbers if all cells are numbers or missing; else texts."""
    numbers = [np.nan if cell.lower() in MISSING else number(cell) for cell in cells]
    if None not in numbers:
        return np.array(numbers, np.float64)
    return np.array([None if cell.lower() in MISSING else cell for cell in cells], object)


def number(cell: str) -> float | None:
    """The number in a cell, None for text; Python's underscores between digits are text."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _npz(data: bytes, name: str) -> Table:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {key: np.asarray(file[key]) for key in file.files}
    except Exception as error:  # a damaged zip: numpy raises whatever its parser does
        line = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"{name}: not an npz file of numbers and texts ({type(error).__name__}: {line})") from None
    columns: dict[str, NDArray[Any]] = {}
    groups: dict[str, list[str]] = {}
    for key, array in arrays.items():
        if array.ndim not in (1, 2) or array.dtype.kind not in "biufUS":
            raise InputError(
                f"{name}: array '{key}' has shape {array.shape} and type {array.dtype}: (rows,) or (rows, columns) of "
                "numbers or texts is needed"
            )
        parts = {key: array} if array.ndim == 1 else {f"{key}{k}": array[:, k] for k in range(array.shape[1])}
        if array.ndim == 2:
            groups[key] = list(parts)
        for column, values in parts.items():
            if column in columns:
                raise InputError(f"{name}: two columns are named '{column}'")
            columns[column] = _values(values)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        shapes = ", ".join(f"'{key}' {len(array)}" for key, array in arrays.items())
        raise InputError(f"{name}: arrays have different numbers of rows ({shapes})")
    return Table(name, columns, range(1, 1 + max(lengths, default=0)), groups)


def _npy(data: bytes, name: str) -> Table:
    raise InputError(f"{name}: an npy file has no names of columns: save an npz file (numpy.savez) or a CSV file")


def _values(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in array.tolist()]
    return np.array([text or None for text in texts], object)


def _parquet(data: bytes, name: str) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise InputError(
            f"{name}: parquet files need pyarrow, which is not installed: pip install 'qif2hw[tables]'"
        ) from None
    try:
        # A single thread: pyarrow's own would stand beside ours.
        found = pyarrow.parquet.read_table(pyarrow.BufferReader(data), use_threads=False)
        columns: dict[str, NDArray[Any]] = {}
        for column, values in zip(found.column_names, found.columns, strict=True):
            if column in columns:
                raise InputError(f"{name}: two columns are named '{column}'")
            kind = values.type
            numeric = (
                pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)
            )
            if numeric or pyarrow.types.is_decimal(kind):
                cells = [np.nan if value is None else float(value) for value in values.to_pylist()]
                columns[column] = np.array(cells, np.float64)
            else:
                texts = [None if value is None else str(value) for value in values.to_pylist()]
                columns[column] = np.array(texts, object)
    except InputError:
        raise
    # Also names that are no text, and times beyond Python's.
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        line = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"{name}: not a parquet file of a table ({line})") from None
    return Table(name, columns, range(1, 1 + found.num_rows), {})


def listed(names: Mapping[str, Any], most: int = 20) -> str:
    """Names for a message, the first of many."""
    shown = [*names][:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
