"""The board, as environment variables name it to Lava's driver.

Lava's own functions for this (`lava.utils.loihi`, `lava.utils.slurm`) are not used: on the output of a real ``sinfo``
they raise IndexError, they never find the default partition, and without ``sinfo`` they raise FileNotFoundError.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from qif2hw.errors import InputError

GENERATIONS = ("N3B2", "N3B3", "N3C1", "N3D1")
"""Values of ``LOIHI_GEN`` that public Lava lists for Loihi 2."""
HOST_BINARY = "nxcore/bin/nx_driver_server"
"""Lava's default for boards on the network."""


@dataclass(frozen=True)
class Board:
    """A board, or a partition of boards.

    Parameters
    ----------
    partition, name
        Of Slurm: a partition, a node, or both.
    host
        Address of a board on the network; then neither of these.
    host_binary
        Path of the driver's server on that board.
    generation
        One of `GENERATIONS`.
    """

    partition: str | None = None
    name: str | None = None
    host: str | None = None
    host_binary: str = HOST_BINARY
    generation: str = "N3B3"

    def __post_init__(self) -> None:
        if self.generation not in GENERATIONS:
            raise InputError(f"LOIHI_GEN = {self.generation}: {', '.join(GENERATIONS)} are generations of Loihi 2")
        if self.host and (self.partition or self.name):
            raise InputError("NXSDKHOST names a board on the network, PARTITION and BOARD one of Slurm: unset one")
        if not (self.host or self.partition or self.name):
            raise InputError("no Loihi 2 board is named: set PARTITION or BOARD, or NXSDKHOST for one on the network")

    @property
    def by_slurm(self) -> bool:
        """Whether the driver books it by starting ``srun``."""
        return self.host is None

    def variables(self) -> dict[str, str | None]:
        """What the driver reads; None: it must not be set."""
        slurm = "1" if self.by_slurm else None
        return {
            "SLURM": slurm,
            "NOSLURM": None if self.by_slurm else "1",
            "PARTITION": self.partition,
            "BOARD": self.name,
            "NXSDKHOST": self.host,
            "HOST_BINARY": None if self.by_slurm else self.host_binary,
            "LOIHI_GEN": self.generation,
        }


def find_board(environment: Mapping[str, str] | None = None) -> Board:
    """The board that ``PARTITION``, ``BOARD`` or ``NXSDKHOST`` names, with ``LOIHI_GEN`` and ``HOST_BINARY``.

    Raises
    ------
    InputError
        If none is named, or two ways at once, its generation is unknown, or Slurm's ``srun`` is not there to book it.
    """
    given = os.environ if environment is None else environment

    def value(name: str) -> str | None:
        return given.get(name) or None

    board = Board(
        value("PARTITION"),
        value("BOARD"),
        value("NXSDKHOST"),
        value("HOST_BINARY") or HOST_BINARY,
        value("LOIHI_GEN") or "N3B3",
    )
    if board.by_slurm and shutil.which("srun", path=given.get("PATH")) is None:
        raise InputError("the board is booked through Slurm, whose srun is not on the path: run this on the head node")
    return board
