"""A network of CUBA neurons with given layers, as a file for netx: needs h5py alone."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

NEURON = {"type": "CUBA", "iDecay": 1024, "vDecay": 64, "vThMant": 40, "refDelay": 1, "gradedSpike": False}
"""Decays of 4096, the threshold of 2^6."""


def write(path: Path, sizes: Sequence[int]) -> None:
    """Write layers of these sizes, the first of them inputs, with random weights for which all layers spike."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        group = file.create_group("layer/0")
        group.create_dataset("type", (1,), "S10", [b"input"])
        group["shape"] = [sizes[0]]
        for k, (pre, post) in enumerate(pairwise(sizes), start=1):
            group = file.create_group(f"layer/{k}")
            group.create_dataset("type", (1,), "S10", [b"dense"])
            for name, value in (("shape", [post]), ("inFeatures", pre), ("outFeatures", post)):
                group[name] = value
            group["weight"] = 2.0 * rng.integers(20, 120, (post, pre)) / np.sqrt(pre) // 2 * 2
            for name, number in NEURON.items():
                group[f"neuron/{name}"] = number
