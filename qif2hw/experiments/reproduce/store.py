"""Results on disk: one JSON file for each experiment, used again while settings and schema version are the same."""

import json
from pathlib import Path
from typing import Any

from qif2hw.files import read_bytes, write_text

_LARGEST = 64 * 2**20


def write(path: Path, identity: dict[str, Any], content: dict[str, Any]) -> None:
    """Write the results of an experiment and its identity: all that they depend on."""
    write_text(path, json.dumps({"identity": identity, **content}, indent=1) + "\n")


def read(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Results of an earlier call; None if there are none, they are damaged, or their identity is another."""
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(read_bytes(path, _LARGEST))
    except ValueError:
        return None
    same = isinstance(content, dict) and content.get("identity") == json.loads(json.dumps(identity))
    return content if same else None
