"""Networks of SLAYER's own blocks: what SLAYER computes is what an imported file computes, spike for spike."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import qif2hw
from qif2hw.ir.stepped import SteppedRun
from qif2hw_slayer.importer import import_network

slayer = pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")

# lava-dl normalises weights by a function that torch will drop.
pytestmark = pytest.mark.filterwarnings("ignore:torch.nn.utils.weight_norm is deprecated:UserWarning")

T = 12
NEURON = {"threshold": 1.1, "current_decay": 0.4, "voltage_decay": 0.2}
WITHOUT_STEP = {"delay_shift": False}


def save(blocks: list[Any], path: Path, *, shape: tuple[int, ...] | None = None) -> Path:
    """As SLAYER's users write files: every block in a group of its own, behind an input layer if a shape is given."""
    with h5py.File(path, "w") as file:
        layers = file.create_group("layer")
        if shape is not None:
            first = layers.create_group("0")
            first.create_dataset("type", (1,), "S10", [b"input"])
            first.create_dataset("shape", data=np.array(shape))
        for k, block in enumerate(blocks, start=shape is not None):
            block.export_hdf5(layers.create_group(str(k)))
    return path


def forward(blocks: list[Any], x: Any) -> list[Any]:
    """What each block sends, (samples, time steps, neurons)."""
    sent = []
    with torch.no_grad():
        for block in blocks:
            x = block(x)
            sent.append(x.reshape(len(x), -1, x.shape[-1]).movedim(-1, 1).numpy())
    return sent


def events(*shape: int) -> Any:
    torch.manual_seed(1)
    return (torch.rand(3, *shape, T) < 0.4).float()


def run(path: Path, x: Any, **options: Any) -> SteppedRun:
    """Frames (samples, time steps, ...) on the engine, which equals the float64 network."""
    bundle = qif2hw.compile(import_network(path, time_steps=T, **options))
    frames = x.movedim(-1, 1).numpy()
    found = bundle.run(frames)
    for name, fired in bundle.run(frames, "reference").spikes.items():
        assert np.array_equal(fired, found.spikes[name]), name
    return found


def same(run: SteppedRun, name: str, sent: Any) -> None:
    assert np.array_equal(run.spikes[name], sent > 0), name
    assert 0.02 < sent.mean() < 0.9, name


def norms(blocks: list[Any]) -> None:
    """Biases that differ between channels, as training leaves them."""
    for block in blocks:
        norm = getattr(getattr(block, "neuron", None), "norm", None)
        if norm is not None:
            norm.running_mean = torch.linspace(-0.3, 0.1, block.synapse.out_channels)


def test_convolutions_pooling_dense_delays(tmp_path: Path) -> None:
    """Uneven kernels, stride, padding, dilation, groups, weight normalisation, biases, decays that differ."""
    torch.manual_seed(0)
    own, norm = slayer.block.cuba, slayer.neuron.norm.MeanOnlyBatchNorm
    strong = {"weight_scale": 6, **WITHOUT_STEP}
    several = NEURON | {"shared_param": False, "current_decay": (0.2, 0.9), "voltage_decay": (0.1, 0.5)}
    blocks = [
        own.Conv(NEURON | {"norm": norm}, 2, 6, (3, 2), stride=(2, 1), padding=(1, 0), **strong),
        own.Conv(NEURON, 6, 8, (2, 3), dilation=(2, 1), groups=2, weight_norm=True, delay=True, **strong),
        own.Pool(NEURON, 2, weight_scale=1, **WITHOUT_STEP),
        own.Flatten(),
        own.Dense(NEURON | {"norm": norm}, 48, 10, weight_scale=8, weight_norm=True, delay=True, **WITHOUT_STEP),
        own.Dense(several, 10, 4, weight_scale=12, **WITHOUT_STEP),
    ]
    x = events(2, 11, 9)
    forward(blocks, x)
    norms(blocks)
    for block in (blocks[1], blocks[4]):
        block.delay.delay.data = torch.floor(torch.linspace(0, 5, len(block.delay.delay)))
    for block in blocks:
        block.eval()
    sent = forward(blocks, x)
    found = run(save(blocks, tmp_path / "a.net", shape=(2, 11, 9)), x)
    with h5py.File(tmp_path / "a.net") as file:
        assert file["layer/6/neuron/iDecay"].shape == (4,)
    # Delays are applied on the way: SLAYER's blocks send late, ours are sent at once and arrive late.
    same(found, "layer1", sent[0])
    for name, k in {"layer2": 1, "layer5": 4}.items():
        late = np.repeat(
            blocks[k].delay.delay.detach().numpy().astype(int), found.spikes[name].shape[2] // blocks[k].shape[0]
        )
        arrives = np.zeros_like(found.spikes[name])
        for i, d in enumerate(late):
            arrives[:, d:, i] = found.spikes[name][:, : T - d, i]
        assert np.array_equal(arrives, sent[k] > 0), name
        assert arrives.any()
    same(found, "layer3", sent[2])
    same(found, "layer6", sent[5])
    np.testing.assert_allclose(found.y, sent[5].mean(axis=1), rtol=1e-6)


def test_steps_between_layers_are_left_out(tmp_path: Path) -> None:
    """With SLAYER's default, layer k is k steps behind and its last k steps are cut."""
    torch.manual_seed(0)
    own = slayer.block.cuba
    blocks = [own.Dense(NEURON, 20, 16, weight_scale=8), own.Dense(NEURON, 16, 9, weight_scale=8)]
    x = events(20)
    sent = forward(blocks, x)
    found = run(save(blocks, tmp_path / "a.net", shape=(20,)), x)
    for k in (1, 2):
        assert np.array_equal(found.spikes[f"layer{k}"][:, : T - k], sent[k - 1][:, k:] > 0)
        assert sent[k - 1].any()


def test_dense_layers_without_an_input_layer(tmp_path: Path) -> None:
    """The input is one line of neurons: no height is needed, and none is asked for."""
    torch.manual_seed(0)
    blocks = [slayer.block.cuba.Dense(NEURON, 20, 16, weight_scale=8, **WITHOUT_STEP)]
    x = events(20)
    sent = forward(blocks, x)
    path = save(blocks, tmp_path / "a.net")
    assert import_network(path, time_steps=T).encoders[0].shape == (20,)
    same(run(path, x), "layer0", sent[0])


@pytest.mark.parametrize("shape", [(14,), (2, 3, 4)], ids=["neurons", "image"])
def test_input_neurons(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Any real values, which SLAYER rounds; currents that last or not."""
    torch.manual_seed(0)
    own, size = slayer.block.cuba, int(np.prod(shape))
    for k, (decay, bias) in enumerate([(1.0, 0.4), (0.3, None)]):
        first = own.Input(NEURON | {"current_decay": decay}, weight=0.7, bias=bias, **WITHOUT_STEP)
        flat = [own.Flatten()] if len(shape) == 3 else []
        blocks = [first, *flat, own.Dense(NEURON, size, 9, weight_scale=10, **WITHOUT_STEP)]
        x = torch.rand(3, *shape, T) * 2 - 0.5
        sent = forward(blocks, x)
        # SLAYER asks for the two dimensions of a dense weight.
        first.weight.data = first.weight.data.reshape(1, 1)
        if bias is not None:
            first.bias.data = first.bias.data.reshape(1, 1)
        found = run(save(blocks, tmp_path / f"{k}.net"), x)
        same(found, "layer0", sent[0])
        same(found, f"layer{len(blocks) - 1}", sent[-1])


@pytest.mark.parametrize("dynamics", [True, False])
def test_affine_output_layer(dynamics: bool, tmp_path: Path) -> None:
    """It does not spike: the result is its voltage after the last step, or what reaches it per step."""
    torch.manual_seed(0)
    own = slayer.block.cuba
    blocks = [
        own.Dense(NEURON, 20, 16, weight_scale=8, **WITHOUT_STEP),
        own.Affine(NEURON, 16, 5, weight_scale=8, dynamics=dynamics),
    ]
    x = events(20)
    sent = forward(blocks, x)
    blocks[1].neuron._threshold = NEURON["threshold"]  # Its own, None or -1, cannot be written.
    found = run(save(blocks, tmp_path / "a.net", shape=(20,)), x)
    same(found, "layer1", sent[0])
    expected = sent[1][:, -1] if dynamics else sent[1].mean(axis=1)
    np.testing.assert_allclose(found.y / 64, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("name", ["rf", "recurrent", "alif"])
def test_other_blocks_are_named(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    block, message = {
        "rf": lambda: (
            slayer.block.rf.Dense({"threshold": 1.0, "period": 10, "decay": 0.1}, 20, 16),
            r"layer 1 \(dense\): its weights are complex, as of resonate-and-fire neurons",
        ),
        "recurrent": lambda: (
            slayer.block.cuba.Recurrent(dict(NEURON), 20, 16),
            r"layer 1 \(dense_rec\): a recurrent layer is not supported",
        ),
        "alif": lambda: (
            slayer.block.alif.Dense(
                NEURON | {"refractory_decay": 0.3, "threshold_step": 0.3, "threshold_decay": 0.1}, 20, 16
            ),
            r"layer 1 \(dense\): the type of its neuron is 'ALIF': CUBA, LOIHI and QIF are supported",
        ),
    }[name]()  # fmt: skip
    forward([block], events(20))
    path = save([block], tmp_path / "a.net", shape=(20,))
    with pytest.raises(qif2hw.InputError, match=message) as caught:
        import_network(path, time_steps=T)
    assert "\n" not in str(caught.value)
