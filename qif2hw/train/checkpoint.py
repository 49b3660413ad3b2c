"""State of a training run on disk: one safetensors file, replaced as a whole, from which a run goes on bit for bit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.files import read_bytes, write_bytes
from qif2hw.train.optim.adam import FlatAdam
from qif2hw.train.optim.gauss_newton import GaussNewton
from qif2hw.train.optim.soap import Soap

Optimizer: TypeAlias = FlatAdam | Soap | GaussNewton
"""What a run goes on with."""

_SCALARS = "state.json"
_LARGEST = 2**31
_LONGEST = 1e12


def write(path: Path, scalars: dict[str, Any], optimizer: Optimizer, others: dict[str, Tensor]) -> None:
    """Write the parameters, the optimiser's moments, the ``scalars`` and the ``others``, tensors of any shape."""
    write_state(path, {**scalars, "adam_steps": optimizer.steps}, {**optimizer.state(), **others})


def write_state(path: Path, scalars: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write scalars, and tensors of any shape."""
    text = json.dumps(scalars, sort_keys=True).encode()
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save({**stored, _SCALARS: torch.from_numpy(np.frombuffer(text, np.uint8).copy())}))


def read(
    path: Path,
    expected: dict[str, Any],
    total: int,
    optimizer_after: Callable[[int], Optimizer],
    others: dict[str, Tensor],
) -> tuple[dict[str, Any], Optimizer]:
    """Restore what `write` wrote, parameters and ``others`` included; its scalars, and the optimiser to go on with.

    ``optimizer_after(done)`` makes the optimiser in use after ``done`` steps, at most ``total``.  The ``others`` have
    the shapes that were written.

    Raises
    ------
    InputError
        If this is no checkpoint, or one of another run: ``expected`` names the scalars that must agree.
    """
    scalars, tensors = read_state(path, expected)
    done, seconds, steps = (scalars.get(name) for name in ("done", "seconds", "adam_steps"))
    whole = type(done) is int and type(steps) is int and type(seconds) in (int, float)
    if not (whole and 0 <= done <= total and 0 <= steps <= done and 0 <= seconds <= _LONGEST):  # type: ignore[operator]
        raise InputError(f"{path}: this checkpoint is damaged (done = {done!r:.20}, of {total} steps)")
    optimizer = optimizer_after(done)  # type: ignore[arg-type]
    restore(path, tensors, optimizer.state() | others)
    optimizer.steps = steps  # type: ignore[assignment]
    return scalars, optimizer


def read_state(path: Path, expected: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Scalars and tensors, of their shapes, that `write_state` wrote.

    Raises
    ------
    InputError
        If this is no checkpoint, or one of another run: ``expected`` names the scalars that must agree.
    """
    try:
        tensors: dict[str, Tensor] = load(read_bytes(path, _LARGEST))
        scalars: dict[str, Any] = json.loads(bytes(tensors.pop(_SCALARS).numpy()))
    except InputError:
        raise
    except (SafetensorError, KeyError, ValueError):
        raise InputError(f"{path}: this is not a checkpoint of a training run") from None
    for name, value in expected.items():
        if scalars.get(name) != value:
            raise InputError(
                f"{path}: this checkpoint is of another run "
                f"({name} = {scalars.get(name)!r:.200}, here {value!r:.200}): delete it or name another file"
            )
    return scalars, tensors


@torch.no_grad()
def restore(path: Path, tensors: dict[str, Tensor], targets: dict[str, Tensor]) -> None:
    """Copy tensors of a checkpoint into those of a run; `InputError` unless names, shapes and types are the same."""
    if {k: (v.shape, v.dtype) for k, v in tensors.items()} != {k: (v.shape, v.dtype) for k, v in targets.items()}:
        raise InputError(f"{path}: this checkpoint does not fit the network")
    for name, target in targets.items():
        target.copy_(tensors[name])
