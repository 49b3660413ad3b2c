"""SANA-FE: in its own process, with its label, or one clear line."""

import importlib.util
from typing import Any

import numpy as np
import pytest
from estimate.test_counts import bundle_of, cores_of

from qif2hw.errors import BackendError, InputError
from qif2hw.estimate import Core, count, loihi1

needed = pytest.mark.skipif(importlib.util.find_spec("sanafe") is None, reason="the extra sanafe is not installed")


def replayed(name: str, neurons: int = 8192) -> tuple[loihi1.Replay, Any]:
    bundle, x = bundle_of(name)
    run, inputs = bundle.run(x[:1]), bundle.network.check_inputs(x[:1])
    cores = cores_of(bundle.program, neurons)
    return loihi1.replay(bundle.program, run, inputs, cores), count(bundle.program, run, inputs, cores)


@needed
@pytest.mark.parametrize(("name", "neurons"), [("chain", 8192), ("chain", 3), ("whole", 8192)])
def test_it_sends_our_messages(name: str, neurons: int) -> None:
    found, counts = replayed(name, neurons)
    assert found.steps == counts.steps
    # Its synapses process every message of ours, its routers carry one to each core.
    assert found.spikes == counts.syn_ops.sum()
    assert found.packets == counts.axon_out.sum() + counts.inputs
    # Accesses of all neurons in all steps, at 51.2 pJ in its Loihi 1, are most of it.
    bundle, _ = bundle_of(name)
    neuron_steps = counts.steps * sum(bundle.program.sizes.values())
    assert 1 < found.energy_j / (51.2e-12 * neuron_steps) < 4
    assert 0 < found.latency_s < 1e-3


@needed
def test_it_is_labelled() -> None:
    found, _ = replayed("chain")
    assert found.as_json()["label"] == "Loihi 1 (the first Loihi), not Loihi 2"
    assert "Loihi 1 (the first Loihi), not Loihi 2" in found.words()
    assert found.version == "SANA-FE 2.2.9"


@needed
def test_what_it_cannot_replay() -> None:
    bundle, x = bundle_of("chain")
    cores = cores_of(bundle.program, 8192)
    with pytest.raises(InputError, match="replays one sample, not 4"):
        loihi1.replay(bundle.program, bundle.run(x), x, cores)
    with pytest.raises(InputError, match="has 128 cores of 1024 neurons: 201 cores"):
        loihi1.replay(bundle.program, bundle.run(x[:1]), x[:1], [Core("hidden1", 0, 1)] * 200)


@needed
def test_its_errors_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, x = bundle_of("chain")
    run, cores = bundle.run(x[:1]), cores_of(bundle.program, 8192)
    with pytest.raises(BackendError, match=r"^SANA-FE failed \(exit code 1\): [^\n]{5,200}$"):
        # Neurons that no core holds.
        loihi1.replay(bundle.program, run, x[:1], cores[:1])
    monkeypatch.setattr(loihi1, "TIMEOUT", 0.001)
    with pytest.raises(BackendError, match="did not end within"):
        loihi1.replay(bundle.program, run, x[:1], cores)


def test_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, x = bundle_of("chain")
    monkeypatch.setattr(loihi1, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"SANA-FE is not installed: pip install 'qif2hw\[sanafe\]'"):
        loihi1.replay(bundle.program, bundle.run(x[:1]), np.asarray(x[:1]), [])
