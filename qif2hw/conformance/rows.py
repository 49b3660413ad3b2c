"""Lines of integers under a header: how a kit and results write their tables."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.files import reason

LARGEST = 1 << 53
"""Numbers of a file are smaller than this, either way."""


def to_csv(columns: tuple[str, ...], rows: NDArray[np.signedinteger[Any]]) -> bytes:
    """A header, and a line per row of (rows, columns)."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows.tolist())]
    return ("\n".join(lines) + "\n").encode()


def read_csv(path: Path, columns: tuple[str, ...]) -> NDArray[np.int64]:
    """Rows (rows, columns) of a file; a header of these columns may stand above them.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is none of so many integers; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{path}: cannot be read ({why})") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (number == 1 and line.replace(" ", "") == ",".join(columns)):
            continue
        fields = line.split(",")
        try:
            row = [int(field) for field in fields]
        except ValueError:
            row = []
        if len(row) != len(columns) or any(abs(value) >= LARGEST for value in row):
            raise InputError(f"{path}: line {number}: {len(columns)} integers are needed: {', '.join(columns)}")
        rows.append(row)
    return np.array(rows, np.int64).reshape(-1, len(columns))
