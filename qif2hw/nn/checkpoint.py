"""State of a training run on disk: one safetensors file, replaced as a whole, from which a run goes on bit for bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from qif2hw.errors import InputError
from qif2hw.files import read_bytes, write_bytes

_SCALARS = "state.json"
_LARGEST = 2**31


def write(path: Path, scalars: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write parameters, optimiser state and the ``scalars``."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{index}.{name}": value for name, value in state.items()})
    text = json.dumps(scalars, sort_keys=True).encode()
    tensors[_SCALARS] = torch.from_numpy(np.frombuffer(text, np.uint8).copy())
    write_bytes(path, save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}))


def read(path: Path, expected: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore what `write` wrote and return its scalars.

    Raises
    ------
    InputError
        If this is no checkpoint, or one of another run: ``expected`` names the scalars that must agree.
    """
    try:
        tensors: dict[str, Tensor] = load(read_bytes(path, _LARGEST))
        scalars: dict[str, Any] = json.loads(bytes(tensors.pop(_SCALARS).numpy()))
    except (SafetensorError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: this is not a checkpoint of a training run") from None
    for name, value in expected.items():
        if scalars.get(name) != value:
            raise InputError(
                f"{path}: this checkpoint is of another run ({name} = {scalars.get(name)}, here {value}): "
                "delete it or name another file"
            )
    groups = optimizer.state_dict()["param_groups"]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
    try:
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    except RuntimeError:
        raise InputError(f"{path}: this checkpoint does not fit the network") from None
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return scalars
