"""Any number of samples in bounded memory: blocks give what the whole gives, and only results grow."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import branched, ordinary

import qif2hw
from qif2hw import engine
from qif2hw.errors import InputError
from qif2hw.ir.spikes import counts_of
from qif2hw.reference import execute

BUNDLE = qif2hw.compile(ordinary((2, 5, 4), seed=3), steps=64, rounding="nearest")
X = np.random.default_rng(0).random((23, 2))


@pytest.mark.parametrize("backend", ["engine", "reference"])
@pytest.mark.parametrize(
    "bundle", [BUNDLE, qif2hw.compile(branched(), steps=64, rounding="nearest")], ids=["chain", "branched"]
)
def test_blocks_give_what_the_whole_gives(backend: str, bundle: qif2hw.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(1).random((23, bundle.network.inputs))
    whole = bundle.run(x, backend)
    for module in (engine, execute):
        monkeypatch.setattr(module, "MOST_SAMPLES", 8)
    seen: list[tuple[int, int]] = []
    blocks = bundle.run(x, backend, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == 3
    assert seen[-1][0] == seen[-1][1]
    for name in ("y", "spike_time", "ordinary"):
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))
    assert (blocks.spikes, blocks.machine, blocks.step_spikes) == (whole.spikes, whole.machine, whole.step_spikes)
    counted = bundle.run(x, backend, keep="counts")
    assert counted.spikes == counted.step_spikes == {}
    np.testing.assert_array_equal(counted.y, whole.y)
    np.testing.assert_array_equal(counted.spike_time, whole.spike_time)
    assert counted.machine == whole.machine
    for found in (blocks, counted, whole):
        for name, count in counts_of(whole.spikes, bundle.network.sizes).items():
            np.testing.assert_array_equal(found.counts[name], count)


@pytest.mark.parametrize("machine", ["spec", "checked"])
def test_the_specification_runs_in_blocks_too(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = BUNDLE.run(X)
    monkeypatch.setattr(engine, "BLOCK", 1)
    found = engine.run(BUNDLE.program, X[:6], machine=machine)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.y, whole.y[:6])


@pytest.mark.parametrize("backend", ["engine", "reference"])
def test_something_else_cannot_be_kept(backend: str) -> None:
    with pytest.raises(InputError, match="keep = nothing: spikes and counts are possible"):
        BUNDLE.run(X, backend, keep="nothing")


@pytest.mark.lava
@pytest.mark.parametrize(("mode", "samples"), [("fused", 23), ("modular", 5)])
def test_lava_counts(mode: str, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several rounds, the last of which is filled up."""
    lava = pytest.importorskip("qif2hw_lava.backend")
    if lava.missing():
        pytest.skip(lava.missing())
    monkeypatch.setitem(lava.WIDEST, mode, 20)
    x = X[:samples]
    whole, found = BUNDLE.run(x), BUNDLE.run(x, "lava", mode=mode, keep="counts")
    assert found.machine == whole.machine
    assert found.spikes == found.step_spikes == {}
    for name, count in whole.counts.items():
        np.testing.assert_array_equal(found.counts[name], count)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["engine", "reference"])
def test_memory_grows_with_the_results_alone(backend: str) -> None:
    code = f"""
import resource, sys
import numpy as np, qif2hw
from networks import ordinary
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
bundle = qif2hw.compile(ordinary((2, 12, 12, 4)), rounding="nearest")
x = np.random.default_rng(0).random((60_000, 2))
bundle.run(x[:12_000], "{backend}", keep="counts")
before = peak()
bundle.run(x, "{backend}", keep="counts")
print(peak() - before)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    # 48 000 more samples of 2 results and 4 output neurons: 120 bytes each, and as much while they are joined.
    assert int(done.stdout) < 40
