"""How much work a run is for the cores of a chip: counters by core and machine step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.estimate.messages import FLUSH, SPIKE, AnyProgram, Messages, machine_steps, messages
from qif2hw.ir.arrays import ByValue, FloatArray, IntArray
from qif2hw.ir.stepped import AnyRun

COUNTERS = ("syn_ops", "dendrite_updates", "axon_out", "spikes_in")
"""Counters of a core, under the names of Intel's activity profiler (``Loihi2Activity``)."""


@dataclass(frozen=True)
class Core:
    """What one core holds: neurons ``first`` to ``stop`` (exclusive) of a population, as the compiler maps them.

    ``parts`` is more than 1 where it holds one part of their synapses; ``bytes`` is the memory it fills.
    """

    population: str
    first: int
    stop: int
    parts: int = 1
    bytes: int = 0

    @property
    def neurons(self) -> int:
        """How many they are."""
        return self.stop - self.first


@dataclass(frozen=True, eq=False)
class Counts(ByValue):
    """Work of a run, all samples together.

    Parameters
    ----------
    samples, steps
        Number of samples, and machine steps of each.
    cores
        What the cores hold.
    syn_ops
        Synapses that messages reach, (cores, steps): counted in the step after the message was sent.  A spike with its
        payload counts once, whether the neuron adds up one number or two.
    dendrite_updates
        Neurons that are updated, (cores, steps): all, in every step.
    axon_out, spikes_in
        Messages that the neurons of a core send, one for each core they reach; messages that arrive at a core.
    inputs
        Messages from outside, one for each core they reach.
    spikes, input_spikes
        Spikes of neurons, by population; spikes of input channels, or values of input groups that are not zero.
    flush_spikes, flush_syn_ops
        Messages of the flush, and the synapses that they reach.
    accumulates, multiplies
        Additions of a weight, and of a weight times a number, where neither is zero.
    """

    samples: int
    steps: int
    cores: tuple[Core, ...]
    syn_ops: IntArray
    dendrite_updates: IntArray
    axon_out: IntArray
    spikes_in: IntArray
    inputs: int
    spikes: dict[str, int]
    input_spikes: int
    flush_spikes: int
    flush_syn_ops: int
    accumulates: int
    multiplies: int

    @property
    def bytes(self) -> int:
        """Memory that the cores fill."""
        return sum(core.bytes for core in self.cores)

    @property
    def fullest_core(self) -> int:
        """Most neurons of a core."""
        return max(core.neurons for core in self.cores)

    @property
    def busiest_syn_ops(self) -> float:
        """Synaptic operations of a mean sample on the core that has most in each step, for which the others wait."""
        return float(self.syn_ops.max(axis=0).sum()) / self.samples

    def by_core(self, counter: str) -> FloatArray:
        """A counter of each core, (cores,), for a mean sample."""
        return getattr(self, counter).sum(axis=1) / self.samples

    def per_sample(self) -> dict[str, float]:
        """Totals of a mean sample."""
        totals = {
            "neuron_updates": self.dendrite_updates.sum(),
            # A chip's counter holds both; here those of spikes, and those of the flush.
            "synaptic_operations": self.syn_ops.sum() - self.flush_syn_ops,
            "flush_synaptic_operations": self.flush_syn_ops,
            "spikes": sum(self.spikes.values()),
            "input_spikes": self.input_spikes,
            "flush_spikes": self.flush_spikes,
            "axon_messages": self.axon_out.sum() + self.inputs,
            "spikes_in": self.spikes_in.sum(),
        }
        return {name: float(total) / self.samples for name, total in totals.items()}


def count(program: AnyProgram, run: AnyRun, x: FloatArray, cores: Sequence[Core]) -> Counts:
    """Count the work of a run.

    Parameters
    ----------
    program, run, x
        What ran, its run on an integer backend with every spike, and the inputs (samples, inputs), as its engine takes
        them.
    cores
        What the cores hold, all neurons of all populations.

    Raises
    ------
    InputError
        If the run has no spikes in machine steps, or the synapses of one neuron lie on several cores.
    """
    for one in cores:
        if one.parts > 1:
            raise InputError(
                f"population '{one.population}': the synapses of one neuron lie on {one.parts} cores; what those send "
                "each other is not known, and nothing is estimated"
            )
    work = _Work(program, len(x), tuple(cores))
    for sent in messages(program, run, x):
        work.add(sent)
    return work.counts()


def joined(parts: Iterable[Counts]) -> Counts:
    """Counts of several runs of one program on the same cores, together."""
    first, *others = parts
    total = {f.name: getattr(first, f.name) for f in fields(Counts)}
    for other in others:
        for name, value in total.items():
            if name == "spikes":
                total[name] = {key: count + other.spikes[key] for key, count in value.items()}
            elif name not in ("steps", "cores"):
                total[name] = value + getattr(other, name)
    return Counts(**total)


class _Work:
    """Counters while messages are added."""

    def __init__(self, program: AnyProgram, samples: int, cores: tuple[Core, ...]) -> None:
        self.program, self.samples, self.cores = program, samples, cores
        shape = (len(cores), machine_steps(program))
        self.syn_ops, self.axon_out, self.spikes_in = (np.zeros(shape, np.int64) for _ in range(3))
        self.spikes: dict[str, int] = {}
        self.totals: dict[str, int] = dict.fromkeys(
            ("inputs", "input_spikes", "flush_spikes", "flush_syn_ops", "accumulates", "multiplies"), 0
        )
        self.encoders = {e.name for e in program.encoders}

    def of(self, population: str) -> list[int]:
        """Numbers of the cores that hold a population."""
        return [k for k, core in enumerate(self.cores) if core.population == population]

    def add(self, sent: Messages) -> None:
        """Follow the messages of one kind from one source to all cores."""
        outgoing = [p for p in self.program.projections if p.pre == sent.source and p.post in sent.onto]
        reached = np.zeros(sent.sent.shape[1], np.int64)
        for k in dict.fromkeys(k for p in outgoing for k in self.of(p.post)):
            core = self.cores[k]
            # Several projections may lead from a source to one core: one message serves them.
            onto = [p.synapses for p in outgoing if p.post == core.population]
            fan_out = np.sum([synapses.fan_out_to(core.first, core.stop) for synapses in onto], axis=0)
            arrive = sent.sent[:-1]
            found = arrive @ fan_out
            self.syn_ops[k, 1:] += found
            self.spikes_in[k, 1:] += arrive @ (fan_out > 0)
            reached += fan_out > 0
            if sent.kind == FLUSH:
                self.totals["flush_syn_ops"] += int(found.sum())
        for k in self.of(sent.source):
            own = slice(self.cores[k].first, self.cores[k].stop)
            self.axon_out[k] += sent.sent[:, own] @ reached[own]
        for p in outgoing:
            real = (p.weight != 0).astype(np.int64)
            for name in ("accumulates", "multiplies"):
                self.totals[name] += int(p.synapses.apply(real, getattr(sent, name)[None]).sum())
        self._tally(sent, reached)

    def _tally(self, sent: Messages, reached: IntArray) -> None:
        total = int(sent.sent.sum())
        if sent.source in self.encoders:
            self.totals["inputs"] += int((sent.sent @ reached).sum())
            self.totals["input_spikes"] += total * (sent.kind == SPIKE)
        elif sent.kind == SPIKE:
            self.spikes[sent.source] = total
        elif sent.kind == FLUSH:
            self.totals["flush_spikes"] += total

    def counts(self) -> Counts:
        """All that was added."""
        neurons = np.array([core.neurons for core in self.cores], np.int64)
        updates = np.repeat(neurons[:, None] * self.samples, self.syn_ops.shape[1], axis=1)
        found: dict[str, Any] = {"spikes": self.spikes, **self.totals}
        return Counts(
            self.samples,
            self.syn_ops.shape[1],
            self.cores,
            self.syn_ops,
            updates,
            self.axon_out,
            self.spikes_in,
            **found,
        )
