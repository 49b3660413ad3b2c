"""Networks trained in SLAYER, five samples back to back: every spike of every layer is the same wherever they run.

That the fused Process equals the engine is in test_imported.py.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qif2hw
from qif2hw_slayer.importer import import_network

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")
from qif2hw_slayer import netx_run


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
