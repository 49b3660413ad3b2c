"""Files of SLAYER for tests: those that lava-dl's wheel brings among its own tests, and small ones made here."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest


def wheel_file(name: str) -> Path:
    """A file of the wheel, by the end of its path; the test is skipped where lava-dl is not installed."""
    try:
        files = importlib.metadata.files("lava-dl")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("lava-dl is not installed (it needs Python 3.10)")
    assert files is not None
    return Path(str(next(file for file in files if str(file).endswith(f"netx/{name}")).locate()))


CUBA = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 60, "refDelay": 1, "gradedSpike": False}


def write(path: Path, change: Callable[[h5py.File], Any] | None = None) -> Path:
    """Input (1, 6, 6), a convolution, pooling, flatten, dense; then a change."""
    layers: list[dict[str, Any]] = [
        {"type": b"input", "shape": [1, 6, 6]},
        {
            "type": b"conv", "shape": [2, 4, 4], "inChannels": 1, "outChannels": 2, "kernelSize": [3, 3],
            "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1,
            "weight": 2.0 * np.arange(18).reshape(2, 1, 3, 3), "neuron": CUBA,
        },
        {
            "type": b"pool", "shape": [2, 2, 2], "kernelSize": [2, 2], "stride": [2, 2], "padding": [0, 0],
            "dilation": [1, 1], "weight": np.full((1, 1, 2, 2), 64.0), "neuron": CUBA,
        },
        {"type": b"flatten", "shape": [8, 1, 1]},
        {
            "type": b"dense", "shape": [3], "inFeatures": 8, "outFeatures": 3, "weight": np.full((3, 8), 32.0),
            "bias": [2.0, -2.0, 0.0], "delay": [0.0, 1.0, 2.0], "neuron": CUBA,
        },
    ]  # fmt: skip
    with h5py.File(path, "w") as file:
        for k, layer in enumerate(layers):
            group = file.create_group(f"layer/{k}")
            for key, value in layer.items():
                if key == "neuron":
                    for name, number in value.items():
                        group[f"neuron/{name}"] = number
                elif key == "type":
                    group.create_dataset(key, (1,), "S10", [value])
                else:
                    group[key] = value
        file["simulation/Ts"], file["simulation/tSample"] = 1, 5
        if change is not None:
            change(file)
    return path
