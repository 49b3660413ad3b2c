"""What all Process models here have in common: errors that are reported, and rounds of samples."""

import traceback
from pathlib import Path
from typing import Any

from lava.magma.core.model.py.model import PyLoihiProcessModel
from numpy.typing import NDArray

from qif2hw_lava.job import PROGRESS, write_arrays, write_error, write_text

REPORT_EVERY = 32
"""Steps between two notes of progress."""


class GuardedModel(PyLoihiProcessModel):
    """A model whose `step` may fail: Lava would wait for ever, so the error is left in the job folder.

    Its Process has the parameters ``name``, ``job`` (the folder), ``steps`` (of one round) and ``rounds``.  A round
    runs a batch of samples; models reset themselves between rounds, much cheaper than building the network again.
    """

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.job = Path(proc_params["job"])
        self.steps: int = proc_params["steps"]
        self.rounds: int = proc_params["rounds"]

    def run_spk(self) -> None:
        """Lava's spiking phase: one machine step."""
        try:
            current, n = divmod(self.time_step - 1, self.steps)
            if n == 0:
                self.reset(current)
            self.step(current, n + 1)
            if self.time_step == self.rounds * self.steps:
                self.deliver()
            if self.time_step % REPORT_EVERY == 0:
                write_text(self.job / PROGRESS, str(self.time_step))
        except BaseException:
            where = f"Process '{self.proc_params['name']}', step {self.time_step}"
            write_error(self.job, where, traceback.format_exc())
            raise

    def reset(self, current: int) -> None:
        """Called before the first step of every round."""

    def step(self, current: int, n: int) -> None:
        """Machine step ``n = 1, 2, ...`` of a round."""
        raise NotImplementedError

    def deliver(self) -> None:
        """Called after the last step of all."""

    def save(self, file: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Leave results, of any shape, in the job folder: milliseconds, where ``Var.get`` takes 20 us a number."""
        write_arrays(self.job, file, arrays)
