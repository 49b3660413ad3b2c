"""Trained ANNs on disk, so that conversions share them: one safetensors file each, named by its identity."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from qif2hw.errors import InputError
from qif2hw.experiments.baselines.ann import Ann
from qif2hw.files import read_bytes, write_bytes

_FACTS = "facts.json"
_LARGEST = 2**28


def path_of(folder: str | os.PathLike[str], identity: dict[str, Any]) -> Path:
    """File of the ANN with this identity; its name holds a digest of it."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return Path(folder) / f"{identity['task'].replace(' ', '-')}-ann-{identity['seed']}-{digest}.safetensors"


def write(path: Path, model: Ann, identity: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write a trained ANN, its identity and the facts about its training (plain values)."""
    text = json.dumps({"identity": identity, "facts": facts}, sort_keys=True).encode()
    write_bytes(path, save({**model.state_dict(), _FACTS: torch.from_numpy(np.frombuffer(text, np.uint8).copy())}))


def read(path: Path, model: Ann, identity: dict[str, Any]) -> dict[str, Any]:
    """Restore what `write` wrote into ``model`` and return the facts.

    Raises
    ------
    InputError
        If the file is something else, or of an ANN with another identity.
    """
    try:
        tensors = load(read_bytes(path, _LARGEST))
        about = json.loads(bytes(tensors.pop(_FACTS).numpy()))
        if about["identity"] != identity:
            raise InputError(f"{path}: this is another network: delete it")
        facts: dict[str, Any] = about["facts"]
        model.load_state_dict(tensors)
    except InputError:
        raise
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError):
        raise InputError(f"{path}: this is not a trained network: delete it") from None
    return facts
