"""Whether a Loihi 2 is within reach."""

import importlib.util
import os
from dataclasses import dataclass

EXTENSION = "lava.utils.loihi2_profiler"
"""Lava itself asks for this module to tell whether Intel's extension is there (`lava.utils.loihi.is_installed`)."""
HOSTS = ("NXSDKHOST", "BOARD", "PARTITION")
"""Variables by which Lava is told where a board is."""


@dataclass(frozen=True)
class Availability:
    """Whether programs can be run on a chip from here; ``reason`` says in one sentence why not."""

    ok: bool
    reason: str


def available() -> Availability:
    """Look for what a run on Loihi 2 needs.

    Never ``ok`` so far: no program of this project has run on a chip, and there is no adapter that claims to do it.
    """
    missing = []
    if not _installed(EXTENSION):
        missing.append("Intel's Lava extension for Loihi (Intel gives it to members of its research community, INRC)")
    if not any(os.environ.get(name) for name in HOSTS):
        missing.append(f"a Loihi 2 board (none of {', '.join(HOSTS)} names one)")
    if missing:
        return Availability(
            False, f"missing: {', and '.join(missing)}; nothing has run on a chip yet, use the backend engine or lava"
        )
    return Availability(
        False,
        "a Loihi 2 runtime seems to be here, but the adapter for it is not written: nothing has run on a chip yet",
    )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
