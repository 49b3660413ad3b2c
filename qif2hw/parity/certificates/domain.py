"""A certificate over the whole input domain: for every input the engine's results are within E of the exact ones.

The machine rounds each input's time to a tick: it has finitely many inputs, one for each *cell* of the domain, and
over a cell its results are constant.  A certificate whose inputs may be anywhere in their ticks holds for the cell.
"""

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.bundle import tensors
from qif2hw.bundle.container import to_json
from qif2hw.bundle.packing import pack
from qif2hw.errors import InputError
from qif2hw.files import read_bytes, write_text
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.large import bytes_of
from qif2hw.ir.program import Program
from qif2hw.parity.certificates.cells import Cells, cells_of
from qif2hw.parity.certificates.certificate import certify

CHUNK = 1024
"""Cells between two notes of the progress."""
MOST_STATE = 1 << 16
"""Most bytes of a file that keeps what was found."""


@dataclass(frozen=True)
class DomainCertificate:
    """What is proven about the domain.

    Parameters
    ----------
    cells
        Cells of the domain.
    tried, proven
        Cells that were looked at, and those with a finite bound.
    error
        ``E``: in every proven cell each result of the engine is at most this far from the exact one.
    worst
        An input, in the user's units, in the cell where that is reached.
    measure
        Sum of the sizes of the proven cells, as parts of the domain.
    """

    cells: int
    tried: int
    proven: int
    error: float
    worst: tuple[float, ...]
    measure: float

    @property
    def share(self) -> float:
        """Share of the domain that is proven."""
        return 1.0 if self.proven == self.cells else self.measure


def certify_domain(
    program: Program,
    *,
    most: int | None = None,
    state: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DomainCertificate:
    """Prove a bound for all inputs of a program with one or two inputs, cell by cell.

    Parameters
    ----------
    program
        What runs.
    most
        Most cells to look at, from now on those that were not yet: all by default.
    state
        A file that keeps what was found; if it exists the work goes on from there.
    progress
        Called with cells done and cells in all.

    Raises
    ------
    InputError
        If the program has more than two inputs, or the file is about another program.
    """
    axes = program.inputs if program.host is None else len(program.host.inputs)
    if axes > 2:
        raise InputError(f"a domain of {axes} inputs has too many cells: one or two are possible")
    bare = replace(program, host=None)
    parts, reach = cells_of(program), _reach(program)
    cells = math.prod(len(one.width) for one in parts)
    name = _name(program)
    found = _read(state, name, cells)
    end = cells if most is None else min(cells, found.tried + most)
    # Cells in an order that is spread over the domain: a multiplier without a common factor.
    stride = max(1, round(cells * 0.6180339887))
    while math.gcd(stride, cells) > 1:
        stride += 1
    while found.tried < end:
        count = min(CHUNK, end - found.tried)
        numbers = np.array([(stride * k) % cells for k in range(found.tried, found.tried + count)], np.int64)
        x, u, size = _inputs(program, parts, numbers)
        bound = certify(bare, x, reach=reach).result.bound.max(axis=1)
        known = np.isfinite(bound)
        error, worst = found.error, found.worst
        if known.any() and float(bound[known].max()) >= error:
            at = int(np.argmax(np.where(known, bound, -1.0)))
            error, worst = float(bound[at]), tuple(float(v) for v in program.unscaled(u[at : at + 1])[0])
        measure = found.measure + float(size[known].sum())
        found = DomainCertificate(cells, found.tried + count, found.proven + int(known.sum()), error, worst, measure)
        if state is not None:
            write_text(state, json.dumps({"program": name, **asdict(found)}) + "\n")
        if progress is not None:
            progress(found.tried, end)
    return found


def _name(program: Program) -> str:
    """The same for programs that a bundle stores as the same bytes, and for no others."""
    arrays: dict[str, NDArray[Any]] = {}
    packed = to_json(pack(program, arrays))
    return sha256(packed + b"".join(bytes_of(tensors.write(arrays)))).hexdigest()


def _reach(program: Program) -> float:
    """How far a channel's time may be from its tick."""
    tick, reach = program.grid.tick, 0.5 * program.grid.tick
    for encoder in program.encoders:
        # The machine's first tick is 1, its last the trial's.
        low, high = 1, int(program.grid.trial / tick)
        reach = max(reach, low * tick - encoder.earliest, encoder.latest - high * tick)
    return reach * (1 + 2.0**-40)


def _inputs(program: Program, parts: list[Cells], numbers: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What the channels get in each cell (cells, channels), an input in [0, 1] there, how much of the domain it is."""
    ticks, u, size = [], np.empty((len(numbers), len(parts))), np.ones(len(numbers))
    for k, own in enumerate(parts):
        numbers, place = np.divmod(numbers, len(own.width))
        u[:, k] = own.middle[place]
        ticks.append(own.ticks[place])
        size *= own.width[place]
    ends = np.array([(e.earliest, e.latest) for e in program.encoders for _ in range(e.size)])
    earliest, latest = ends.T
    x = np.clip((latest - np.concatenate(ticks, axis=1) * program.grid.tick) / (latest - earliest), 0.0, 1.0)
    return x, u, size


def _read(state: str | os.PathLike[str] | None, name: str, cells: int) -> DomainCertificate:
    """What a file keeps; nothing where there is none."""
    if state is None or not Path(state).exists():
        return DomainCertificate(cells, 0, 0, 0.0, (), 0.0)
    try:
        kept = json.loads(read_bytes(state, MOST_STATE))
        count, tried, proven = (int(kept[key]) for key in ("cells", "tried", "proven"))
        error, measure, worst = float(kept["error"]), float(kept["measure"]), tuple(float(v) for v in kept["worst"])
        same = kept["program"] == name and count == cells
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as reason:
        raise InputError(f"{os.fspath(state)}: no record of a domain's certificate") from reason
    if not (0 <= proven <= tried <= count and 0 <= error < math.inf and 0 <= measure < math.inf):
        raise InputError(f"{os.fspath(state)}: its numbers are those of no domain's certificate")
    if not same:
        raise InputError(f"{os.fspath(state)}: it is about another program: choose another file")
    return DomainCertificate(count, tried, proven, error, worst, measure)
