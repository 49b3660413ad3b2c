"""Pieces of C text: arrays, initialisers, macros; and lines of integers."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_PER_LINE = 20
_WIDTH = 110


def array(kind: str, name: str, values: ArrayLike, *, public: bool = False) -> str:
    """A constant array of integers of any shape, flattened; C has no empty ones: that of no values holds a zero."""
    flat = [str(value) for value in np.asarray(values).ravel().tolist()] or ["0"]
    lines = [", ".join(flat[low : low + _PER_LINE]) for low in range(0, len(flat), _PER_LINE)]
    return (
        f"{'' if public else 'static '}const {kind} {name}[{len(flat)}] = {{\n    " + ",\n    ".join(lines) + "\n};\n"
    )


def record(values: Mapping[str, Any]) -> str:
    """An initialiser that names every field."""
    return "{" + ", ".join(f".{name} = {value}" for name, value in values.items()) + "}"


def row(values: Iterable[int]) -> str:
    """An initialiser of integers in order."""
    return "{" + ", ".join(map(str, values)) + "}"


def constant(kind: str, name: str, values: Mapping[str, Any]) -> str:
    """A constant structure."""
    return f"static const {kind} {name} = {record(values)};\n"


def records(kind: str, name: str, rows: Iterable[str]) -> str:
    """A constant public array of structures, whose initialisers are given; long ones go over several lines."""
    lines = (_wrapped(row) if len(row) > _WIDTH else row for row in rows)
    return f"const {kind} {name} = {{\n    " + ",\n    ".join(lines) + "\n};\n"


def _wrapped(row: str) -> str:
    """The initialiser in lines that end between fields."""
    whole = row.replace(" = ", "\0=\0")
    return textwrap.fill(whole, _WIDTH, subsequent_indent=" " * 5, break_on_hyphens=False).replace("\0", " ")


def comment(text: str) -> str:
    """A comment that names something of the user's, whatever characters it has."""
    return f"/* {re.sub(r'[^A-Za-z0-9_. >-]', '_', text)} */\n"


def header(macros: Mapping[str, int], index: str) -> str:
    """``sizes.h``: macros, and the type of a neuron's number in lists of synapses."""
    lines = "\n".join(f"#define QIF_{name} {value}" for name, value in macros.items())
    return (
        "/* Sizes and widths of this network. */\n#ifndef QIF_SIZES_H\n#define QIF_SIZES_H\n\n#include <stdint.h>\n\n"
        f"{lines}\n\ntypedef {index} qif_index;\n\n#endif\n"
    )


def index_type(sizes: Mapping[str, int]) -> str:
    """Type that holds the number of any neuron."""
    return "uint16_t" if max(sizes.values()) <= 1 << 16 else "uint32_t"


def halves(weight: NDArray[np.int16]) -> NDArray[np.int64]:
    """Half of weights, of any shape, that are even: 8 bits hold them."""
    return weight.astype(np.int64) // 2


def places(counts: Sequence[int]) -> list[int]:
    """Where each of several ranges begins, if they follow each other, and where the last ends."""
    return [0, *np.cumsum(counts, dtype=np.int64).tolist()]


def csv(rows: NDArray[Any]) -> str:
    """A line per row of an array (rows, columns)."""
    return "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())
