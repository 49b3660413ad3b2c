"""Numbers for people, and values as JSON for machines."""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from qif2hw_cli.output.names import shown


def can_show(text: str) -> bool:
    """Whether standard output has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def plain(value: Any) -> Any:
    """A value as JSON has it: arrays (numpy's have ``tolist``) become lists, numbers that JSON lacks become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return shown(str(value))


def to_json(value: Mapping[str, Any]) -> str:
    """JSON text of a result."""
    return json.dumps(plain(value), indent=2, allow_nan=False)


def number(value: float, digits: int = 3) -> str:
    """A number for people; a dash where there is none."""
    return f"{value:.{digits}g}" if math.isfinite(value) else "-"


def percent(value: float | None) -> str:
    """A relative error for people; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{100 * value:.3g} %"


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value:.2f} s" if value < 60 else f"{value / 60:.1f} min"


def size(count: float) -> str:
    """A number of bytes for people."""
    return f"{count:.0f} B" if count < 1024 else f"{count / 1024:.1f} KiB"
