"""What a run returns: spikes and results, in time units and, from an integer machine, in steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray
from qif2hw.ir.readout.classes import Classifies


@dataclass(frozen=True, eq=False)
class Spikes(ByValue):
    """Ordinary spikes of one population, sorted by sample, neuron, time.

    ``sample``, ``neuron`` (int32) and ``time`` (float64, time units) have one entry per spike.
    """

    sample: NDArray[np.int32]
    neuron: NDArray[np.int32]
    time: FloatArray

    def __len__(self) -> int:
        return int(self.time.size)


@dataclass(frozen=True, eq=False)
class StepSpikes(ByValue):
    """Ordinary spikes of one population on the machine, sorted by sample, neuron, step; all int32, one entry per spike.

    Spike ``k`` is that of ``neuron[k]`` in sample ``sample[k]``; all have shape (spikes,).  ``step`` is the machine
    step it was sent in, ``lateness`` how late it was, in ticks.
    """

    sample: NDArray[np.int32]
    neuron: NDArray[np.int32]
    step: NDArray[np.int32]
    lateness: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.step.size)

    @classmethod
    def of(cls, rows: NDArray[np.int64]) -> "StepSpikes":
        """From rows (sample, neuron, step, lateness), in any order."""
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))].astype(np.int32)
        return cls(*(np.ascontiguousarray(rows[:, k]) for k in range(4)))


@dataclass(frozen=True, eq=False)
class MachineOutput(ByValue):
    """First spikes of the output populations, concatenated: arrays (samples, output neurons), int32.

    ``step`` is the machine step of the first ordinary spike, -1 where the neuron did not fire within the trial;
    ``lateness`` its lateness in ticks (0 then); ``flush`` the phase, in counts shifted right by ``flush_drop``, that
    the neuron sent in the flush step.
    """

    step: NDArray[np.int32]
    lateness: NDArray[np.int32]
    flush: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Run:
    """Result of executing a network on one backend.

    Parameters
    ----------
    backend
        ``reference``, ``engine``, ``lava`` or ``loihi2``.
    y
        The solution (samples, outputs), in the user's units.
    spike_time
        First spike times of the output neurons (samples, output neurons), time units, pseudospikes included.
    ordinary
        Whether that spike is an ordinary one, same shape.
    spikes
        All ordinary spikes by population, in time units.
    machine, step_spikes
        From integer backends: the same in steps and ticks.
    seconds
        Wall-clock time of the execution.
    counts
        Number of ordinary spikes of every neuron over all samples, (neurons,), by population.
    raw
        What the spikes say themselves, (samples, results): the decoded results that the host makes the solution of;
        where not given they are the solution.
    label
        Of a classifier: the class of each sample, (samples,), int64; see `qif2hw.ir.Host.classes`.
    """

    backend: str
    y: FloatArray
    spike_time: FloatArray
    ordinary: NDArray[np.bool_]
    spikes: dict[str, Spikes]
    machine: MachineOutput | None = None
    step_spikes: dict[str, StepSpikes] = field(default_factory=dict)
    seconds: float = 0.0
    counts: dict[str, IntArray] = field(default_factory=dict)
    # y where it is not given.
    raw: FloatArray = field(default=None)  # type: ignore[arg-type]
    label: IntArray | None = None

    def __post_init__(self) -> None:
        if self.raw is None:
            object.__setattr__(self, "raw", self.y)

    def __repr__(self) -> str:
        spikes = sum(map(len, self.spikes.values())) or sum(int(count.sum()) for count in self.counts.values())
        results = " x ".join(map(str, self.y.shape))
        return f"Run({self.backend}: {results} results, {spikes} spikes in {self.seconds:.3g} s)"


def solved(program: Classifies, x: FloatArray, run: Run) -> Run:
    """The run of inputs ``x`` (samples, columns) with the solution and the classes that the host makes of it."""
    if program.classes is None and program.host is None:
        return run
    y = run.y if program.host is None else program.solve(x, run.raw)
    return replace(run, y=y, label=program.label(run.raw, y) if run.label is None else run.label)


Keep: TypeAlias = Literal["spikes", "counts"]
"""What a run keeps besides the results: every spike, or how many each neuron sent."""


def check_keep(keep: str) -> None:
    """`InputError` unless a run can keep this."""
    if keep not in get_args(Keep):
        raise InputError(f"keep = {keep}: {' and '.join(get_args(Keep))} are possible")


def counts_of(spikes: Mapping[str, Spikes | StepSpikes], sizes: Mapping[str, int]) -> dict[str, IntArray]:
    """Number of spikes of every neuron (neurons,), by population."""
    return {name: np.bincount(found.neuron, minlength=sizes[name]) for name, found in spikes.items()}


def power_of_two(limit: int) -> int:
    """The largest power of two of at most ``limit``, and at least 1."""
    return 1 << max(limit, 1).bit_length() - 1


def joined_runs(parts: Iterable[tuple[int, Run]], keep: Keep) -> Run:
    """One run of those of consecutive blocks of samples, each with the number of its first sample.

    Spikes that are not kept are dropped block by block.
    """
    found: list[Run] = []
    counts: dict[str, IntArray] = {}
    for first, part in parts:
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
        found.append(_from(first, part) if keep == "spikes" else replace(part, spikes={}, step_spikes={}))
    if len(found) == 1:
        return found[0]
    y = np.concatenate([part.y for part in found])
    return Run(
        found[0].backend,
        y,
        np.concatenate([part.spike_time for part in found]),
        np.concatenate([part.ordinary for part in found]),
        {name: _joined([part.spikes[name] for part in found]) for name in found[0].spikes},
        None if found[0].machine is None else _joined([part.machine for part in found]),
        {name: _joined([part.step_spikes[name] for part in found]) for name in found[0].step_spikes},
        sum(part.seconds for part in found),
        counts,
        np.concatenate([part.raw for part in found]) if any(part.raw is not part.y for part in found) else y,
        None if any(part.label is None for part in found) else np.concatenate([part.label for part in found]),
    )


def _from(first: int, run: Run) -> Run:
    """The run with its samples numbered from ``first`` on."""

    def moved(spikes: dict[str, Any]) -> dict[str, Any]:
        return {name: replace(found, sample=found.sample + np.int32(first)) for name, found in spikes.items()}

    return replace(run, spikes=moved(run.spikes), step_spikes=moved(run.step_spikes)) if first else run


def _joined(parts: list[Any]) -> Any:
    """Dataclasses of arrays, one behind the other."""
    names = [f.name for f in fields(parts[0])]
    return type(parts[0])(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
