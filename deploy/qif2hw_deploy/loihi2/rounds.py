r"""A round: the steps that one batch of samples takes on the chip.

    step 1                       the host sends each input neuron its word, once
    steps 1 .. lead              the word is on its way: adapter, then a synapse
    steps lead + 1 .. lead + S   the S steps of the machine
    step lead + S + 1            the latches send the first spikes, in one word
    step lead + S + 2            they send the flushes
    .. + output_delay            what they sent is on its way to the host

An input word is ``step 2^lateness_bits + lateness``: the neuron counts the step down and sends the lateness.  The
word of a first spike has the same form, and is 0 where there was none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qif2hw.errors import InputError
from qif2hw.ir.program import Program
from qif2hw_lava.job import Job

WORD_BITS = 23
"""Of a graded spike of 24 bits with a sign."""


@dataclass(frozen=True)
class Rounds:
    """The lengths of a round.

    Parameters
    ----------
    machine_steps
        ``S``.
    input_delay, output_delay
        Steps that the adapters take, see `qif2hw_deploy.loihi2.half.VendorHalf`.
    """

    machine_steps: int
    input_delay: int
    output_delay: int

    @property
    def lead(self) -> int:
        """Steps before the machine's first one: a spike of step 1 leaves in the step in which its word arrives."""
        return self.input_delay + 1

    @property
    def first_spikes_sent(self) -> int:
        """The step in which latches send their first word; the flushes follow in the next step."""
        return self.lead + self.machine_steps + 1

    @property
    def steps(self) -> int:
        """Steps of a round."""
        return self.first_spikes_sent + 1 + self.output_delay


def check_words(program: Program) -> None:
    """`InputError` unless step and lateness of every spike fit one word."""
    bits = program.steps.bit_length() + program.grid.lateness_bits
    if bits > WORD_BITS:
        raise InputError(
            f"loihi2: step and lateness of a spike take {bits} bits ({program.steps} steps, "
            f"{program.grid.lateness_bits} bits of lateness), a graded spike has {WORD_BITS}: compile with fewer steps "
            "or payload bits"
        )


def input_words(job: Job) -> NDArray[np.int64]:
    """One word for every input, (rounds, copies, inputs); 0 for those that send nothing."""
    step, late = job.batches()
    return np.where(step > 0, (step << job.program.grid.lateness_bits) + late, 0)
