"""Cells of the input domain: the inputs that the machine cannot tell apart, since it rounds spike times to ticks."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from qif2hw.engine import encode
from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.ir.program import Program

CLOSE = 1e-12
"""Cuts this near may lie in another order in floating-point arithmetic."""
MOST_CLOSE = 8
"""Largest number of cuts that near to each other."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one input.

    Parameters
    ----------
    ticks
        The tick of each of the input's channels, (cells, channels).
    width
        How much of [0, 1] a cell is, (cells,); their sum is 1.
    middle
        An input in each, in [0, 1], (cells,).
    """

    ticks: IntArray
    width: FloatArray
    middle: FloatArray


def cells_of(program: Program) -> list[Cells]:
    r"""The cells of each input of a program.

    A channel's tick changes where its time is half way between two ticks, which is at one value of a plain input and at
    two, :math:`c \pm \sigma \sqrt{-2 \ln a}`, of one with receptive fields: these cuts part the domain.

    Raises
    ------
    InputError
        If more than `MOST_CLOSE` cuts cannot be told apart.
    """
    host = program.host
    fields = [None] * program.inputs if host is None else [one.fields for one in host.inputs]
    every = [(e.earliest, e.latest) for e in program.encoders for _ in range(e.size)]
    found, first = [], 0
    for k, own in enumerate(fields):
        channels = slice(first, first + (1 if own is None else own.count))
        at = _cuts(program.grid.tick, own, every[channels])
        middle = 0.5 * (at[:-1] + at[1:])
        # Its ticks do not depend on the other inputs.
        u = np.full((len(middle), len(fields)), 0.5)
        u[:, k] = middle
        step, late = encode(program, program.unscaled(u))
        ticks = ((step.astype(np.int64) << program.grid.lateness_bits) - late)[:, channels]
        mixed, where = _other_orders(at, ticks)
        width = np.concatenate([np.diff(at), np.zeros(len(where))])
        found.append(Cells(np.concatenate([ticks, *mixed]), width, np.concatenate([middle, where])))
        first = channels.stop
    return found


def _cuts(tick: float, fields: ReceptiveFields | None, ranges: list[tuple[float, float]]) -> FloatArray:
    """Ends of the cells of an input, in [0, 1], whose channels have spikes from the earliest to the latest time."""
    cuts = [np.array([0.0, 1.0])]
    for k, (earliest, latest) in enumerate(ranges):
        half = (np.arange(np.floor(earliest / tick) - 1, np.ceil(latest / tick) + 1) + 0.5) * tick
        activity = (latest - half) / (latest - earliest)
        activity = activity[(activity > 0) & (activity < 1)]
        if fields is None:
            cuts.append(activity)
        else:
            away = fields.distance(activity)
            cuts += [fields.centres[k] - away, fields.centres[k] + away]
    at = np.unique(np.concatenate(cuts))
    return at[(at >= 0) & (at <= 1)]


def _other_orders(at: FloatArray, ticks: IntArray) -> tuple[list[IntArray], FloatArray]:
    """Ticks (cells, channels) that inputs between cuts may have which are too near to be told apart; where that is."""
    near = np.flatnonzero(np.diff(at) < CLOSE)
    groups = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if len(near) else []
    found, where = [], []
    for group in groups:
        before, after = ticks[max(group[0] - 1, 0)], ticks[min(group[-1] + 1, len(ticks) - 1)]
        differ = np.flatnonzero(before != after)
        if len(differ) > MOST_CLOSE:
            raise InputError(f"{len(differ)} ticks change at inputs near {at[group[0]]:.6g}: they cannot be told apart")
        mixed = np.repeat(before[None], 2 ** len(differ), axis=0)
        mixed[:, differ] = list(product(*zip(before[differ], after[differ], strict=True)))
        found.append(mixed)
        where += [float(at[group[0]])] * len(mixed)
    return found, np.array(where)
