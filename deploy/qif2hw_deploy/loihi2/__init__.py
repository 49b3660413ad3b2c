"""The adapter for Loihi 2: everything on this side of the vendor's closed half.

>>> from qif2hw_deploy import loihi2
>>> run = loihi2.simulate("model.qif", x)  # doctest: +SKIP

`simulate` runs the graph of Processes for the chip on Lava's CPU simulator.  `run` needs Intel's Lava extension, models
of these Processes for neuro cores (`qif2hw_deploy.loihi2.half`) and a board.  It has been run with a stand-in for all
three alone: nothing has run on a chip yet.
"""

from qif2hw_deploy.loihi2.backend import LOIHI2, ChipRun, run, simulate
from qif2hw_deploy.loihi2.board import Board, find_board
from qif2hw_deploy.loihi2.chip import missing
from qif2hw_deploy.loihi2.half import VendorHalf

__all__ = ["LOIHI2", "Board", "ChipRun", "VendorHalf", "find_board", "missing", "run", "simulate"]
