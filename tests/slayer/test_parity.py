"""Networks trained in SLAYER, five samples back to back: every spike of every layer is the same wherever they run.

That the fused Process equals the engine is in test_imported.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import qif2hw
from qif2hw_slayer.importer import import_network

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")
from qif2hw_slayer import block, netx_run
from qif2hw_slayer.export import save


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("name", ["exact", "euler", "cuba"])
def test_netx_engine_and_lava_equal_slayer(name: str, trained: Callable[[str], Any]) -> None:
    made = trained(name)
    bundle = qif2hw.compile(import_network(made.path))
    runs = [bundle.run(made.x), bundle.run(made.x, "lava", mode="modular")]
    found = [netx_run.run(made.path, made.x)]
    found += [tuple(run.spikes[p.name] for p in bundle.program.populations if p.name in run.spikes) for run in runs]
    for layers in found:
        assert len(layers) == len(made.layers)
        for spikes, expected in zip(layers, made.layers, strict=True):
            assert np.array_equal(spikes, expected)
    assert np.array_equal(runs[0].y, runs[1].y)


def test_delays_and_steps_between_layers(tmp_path: Path) -> None:
    """Axonal delays are kept; lava-dl's default step between blocks shifts whole layers and changes no spike."""
    torch.manual_seed(1)
    blocks = [block.Dense({}, 20, 12, weight_scale=12, delay=True), block.Dense({}, 12, 6, weight_scale=12, delay=True)]
    x = (torch.rand(4, 20, 15) < 0.4).float()
    y, sent = x, []
    for one in blocks:
        one(y)  # then it has its delays
        one.delay.delay.data = torch.arange(one.neuron.num_neurons) % 4.0
        sent.append(one.neuron(one.synapse(y)).detach().movedim(-1, 1).numpy() > 0)
        y = one(y)
    save(blocks, tmp_path / "a.net", input_shape=(20,), time_steps=15)
    run = qif2hw.compile(import_network(tmp_path / "a.net")).run(x.movedim(-1, 1).numpy())
    for k, spikes in enumerate(sent):
        assert spikes.any(axis=(1, 2)).all()
        assert np.array_equal(spikes[:, k:], run.spikes[f"layer{k + 1}"][:, : 15 - k])
