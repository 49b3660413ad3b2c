"""The profilers of Intel's extension: which there are, and reading back what they found.  Imports lava, when called."""

import math
from typing import Any

import numpy as np

NAMES = ("power", "time", "memory", "activity")
"""``Loihi2Power``, ``Loihi2ExecutionTime``, ``Loihi2Memory``, ``Loihi2Activity``."""


def make_profilers(names: list[str], steps: int) -> dict[str, Any]:
    """The profilers of these names for a run of ``steps``: the ``callback_fxs`` of a run configuration."""
    from lava.utils import loihi2_profiler as profilers

    makers = {
        "power": lambda: profilers.Loihi2Power(num_steps=steps),
        "time": profilers.Loihi2ExecutionTime,
        "memory": profilers.Loihi2Memory,
        "activity": profilers.Loihi2Activity,
    }
    return {name: makers[name]() for name in names}


def read_profilers(profilers: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every public number, text or array of each profiler, as JSON has it.

    Which there are, the vendor's manual says; one that cannot be read becomes the text of its error under
    ``unreadable``.
    """
    return {name: _public(profiler) for name, profiler in profilers.items()}


def _public(profiler: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    for name in dir(profiler):
        if name.startswith("_"):
            continue
        try:
            value = getattr(profiler, name)
        except Exception as error:
            unreadable[name] = f"{type(error).__name__}: {error}"
            continue
        if isinstance(value, (bool, str, int, float, list, tuple, dict, np.generic, np.ndarray)):
            found[name] = _plain(value)
    return found | ({"unreadable": unreadable} if unreadable else {})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, str, int, float)) or value is None else str(value)
