"""Whether a Loihi 2 is within reach."""

import importlib.util
import os
from typing import Any, NoReturn

from qif2hw.backends import Backend
from qif2hw.errors import InputError

EXTENSION = "lava.utils.loihi2_profiler"
"""Lava itself looks for this module to find Intel's extension (`lava.utils.loihi.is_installed`)."""
HOSTS = ("NXSDKHOST", "BOARD", "PARTITION")
"""Environment variables that name a board to Lava."""


def missing() -> str:
    """What a run on Loihi 2 needs and does not find, in one line.

    Never None so far: no program of this project has run on a chip, and there is no adapter that claims to do it.
    """
    lacking = []
    if not _installed(EXTENSION):
        lacking.append("Intel's Lava extension for Loihi (Intel gives it to members of its research community, INRC)")
    if not any(os.environ.get(name) for name in HOSTS):
        lacking.append(f"a Loihi 2 board (none of {', '.join(HOSTS)} names one)")
    if lacking:
        return f"missing: {', and '.join(lacking)}; nothing has run on a chip yet, use the backend engine or lava"
    return "a Loihi 2 runtime seems to be here, but the adapter for it is not written: nothing has run on a chip yet"


def _execute(*_: Any, **__: Any) -> NoReturn:
    raise InputError(f"backend 'loihi2': {missing()}")


LOIHI2 = Backend("loihi2", "Loihi 2 chip", "program", _execute, exact=True, missing=missing)
"""Entry point ``loihi2``."""


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
