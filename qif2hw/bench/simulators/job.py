"""What a simulator is given and returns: arrays in a folder, a child process with a time limit.

Time is in units of the simulator's step.  The equation is ``tau dv/dt = v (v - 1) + i0``; at ``v > peak`` a neuron
spikes and goes to ``-peak``, where the exact one comes from infinity.  A spike of weight ``w`` adds ``w`` to ``v``.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw import neuron
from qif2hw.errors import BackendError, InputError
from qif2hw.ir import Network, Spikes
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw_lava.interpreter import clean_environment
from qif2hw_lava.processgroup import end_group

START = 120.0
"""Seconds that a simulator may take to start and to compile."""
EACH = 60.0
"""Seconds more for each sample."""


@dataclass(frozen=True)
class Job:
    """Copies of a network, one for each sample, on a clock.

    Parameters
    ----------
    steps
        Steps of a trial.
    tau, i0, peak
        Of the equation, ``tau`` in steps.
    v0
        Potentials at the start, (neurons,); layers one after the other.
    inputs
        Step of each input spike, (samples, inputs).
    source, target, weight
        Synapses of one copy, (synapses,): neurons by their number, inputs before them as ``-inputs .. -1``.
    """

    steps: int
    tau: float
    i0: float
    peak: float
    v0: FloatArray
    inputs: IntArray
    source: IntArray
    target: IntArray
    weight: FloatArray

    @property
    def samples(self) -> int:
        """Number of copies."""
        return len(self.inputs)

    def save(self, folder: Path) -> None:
        """Write ``job.npz``."""
        np.savez(folder / "job.npz", **vars(self))

    @classmethod
    def load(cls, folder: Path) -> "Job":
        """Read ``job.npz``."""
        with np.load(folder / "job.npz", allow_pickle=False) as found:
            values: dict[str, Any] = {name: found[name] for name in found.files}
        numbers: dict[str, Any] = {name: values[name].item() for name in ("steps", "tau", "i0", "peak")}
        return cls(**values | numbers)

    def copies(self) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
        """All copies as one network: ``v0`` (samples * neurons,), and source, target, weight of all synapses.

        Sources that are inputs have the numbers ``-samples * inputs .. -1``.
        """
        neurons, inputs, copy = len(self.v0), self.inputs.shape[1], np.arange(self.samples)[:, None]
        own = np.where(self.source >= 0, copy * neurons + self.source, (copy - self.samples + 1) * inputs + self.source)
        return (
            np.tile(self.v0, self.samples),
            own.ravel(),
            (copy * neurons + self.target).ravel(),
            np.tile(self.weight, self.samples),
        )


def prepare(network: Network, x: FloatArray, steps: int, peak: float) -> Job:
    """The job of inputs ``x`` (samples, inputs) in [0, 1].

    ``peak`` is in units of ``tau`` in steps: at 1, an Euler step moves a neuron there by as much as it is high.

    Raises
    ------
    InputError
        If the network is no chain of layers, all to all, of neurons with the same parameters.
    """
    names = [network.encoders[0].name, *(p.name for p in network.order)]
    pairs = [(p.pre, p.post) for p in network.projections]
    kinds = {p.neuron for p in network.order}
    if len(network.encoders) > 1 or sorted(pairs) != sorted(pairwise(names)) or len(kinds) > 1:
        raise InputError("the simulators are given chains of layers of equal neurons: this network is none")
    [kind] = kinds
    dt = network.trial / steps
    peak = peak * kind.tau / dt
    first = np.cumsum([-network.inputs, network.inputs, *(p.size for p in network.order)])
    start = dict(zip(names, first, strict=False))
    source, target, weight = [], [], []
    for p in network.projections:
        post, pre = np.nonzero(np.asarray(p.weight))
        source.append(start[p.pre] + pre)
        target.append(start[p.post] + post)
        weight.append(np.asarray(p.weight)[post, pre])
    with np.errstate(divide="ignore"):
        v0 = np.concatenate([neuron.voltage(p.phi0, kind) for p in network.order])
    times = network.encoders[0].times(network.encoded(x))
    return Job(
        steps,
        kind.tau / dt,
        kind.i0,
        peak,
        np.clip(v0, -peak, peak),
        np.rint(times / dt).astype(np.int64),
        np.concatenate(source),
        np.concatenate(target),
        np.concatenate(weight),
    )


@dataclass(frozen=True, eq=False)
class Simulated:
    """What a simulator returned: seconds of the simulation itself, and spikes by population, in units of time."""

    seconds: float
    spikes: dict[str, Spikes]


def simulate(module: str, network: Network, job: Job) -> Simulated:
    """Run a job with ``python -m MODULE FOLDER`` to its end.

    Raises
    ------
    BackendError
        If it fails or takes too long: the last line that it printed.  No process is left.
    """
    with tempfile.TemporaryDirectory(prefix="qif2hw-bench-") as name:
        folder = Path(name)
        job.save(folder)
        limit = START + EACH * job.samples
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", module, folder],
                cwd=folder, env=clean_environment() | {"OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            code = child.wait(limit)
        except subprocess.TimeoutExpired:
            raise BackendError(f"{module}: not done after {limit:g} s") from None
        finally:
            end_group(child.pid)
            child.wait()
        if code:
            lines = (folder / "log").read_text(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
            raise BackendError(f"{module}: {last[:300]}")
        seconds = json.loads((folder / "seconds.json").read_text())
        rows = np.load(folder / "rows.npy", allow_pickle=False)
    return Simulated(seconds, _spikes(network, job, rows))


def finish(folder: Path, seconds: float, number: NDArray[Any], step: NDArray[Any]) -> None:
    """Leave the result: number of the neuron (in all copies) and step of every spike, (spikes,)."""
    np.save(folder / "rows.npy", np.stack([np.asarray(number, np.float64), np.asarray(step, np.float64)], axis=1))
    (folder / "seconds.json").write_text(json.dumps(seconds))


def _spikes(network: Network, job: Job, rows: FloatArray) -> dict[str, Spikes]:
    """By population, sorted; spikes after the trial are none."""
    neurons, dt = len(job.v0), network.trial / job.steps
    rows = rows[rows[:, 1] <= job.steps]
    number, time = rows[:, 0].astype(np.int64), rows[:, 1] * dt
    sample, own = number // neurons, number % neurons
    found, first = {}, 0
    for p in network.order:
        here = np.flatnonzero((own >= first) & (own < first + p.size))
        here = here[np.lexsort((time[here], own[here], sample[here]))]
        found[p.name] = Spikes(sample[here].astype(np.int32), (own[here] - first).astype(np.int32), time[here])
        first += p.size
    return found
