"""SLAYER's files of QIF networks: every key, and integers that are those of the compiler."""

from pathlib import Path

import numpy as np
import pytest
import torch

from qif2hw.errors import InputError

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")
import h5py

from qif2hw_slayer import block, netx
from qif2hw_slayer.export import save

COMMON = {
    "type", "kind", "a", "u1", "u2", "threshold", "reset", "scale", "stateExp", "vThMant", "refDelay", "gradedSpike",
    "vTh", "vReset",
}  # fmt: skip
OWN = {"exact": {"decay", "coupling", "couplingShift"}, "euler": {"curvature", "distance"}}


# lava-dl normalises weights by a function that torch will drop.
@pytest.mark.filterwarnings("ignore:torch.nn.utils.weight_norm is deprecated:UserWarning")
@pytest.mark.parametrize("kind", OWN)
def test_every_key(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    neuron = {"threshold": 1.25, "a": 0.3, "u1": -0.1, "u2": 0.45, "reset": -0.2, "kind": kind}
    blocks = [
        block.Conv(neuron, 2, 4, (3, 2), stride=2, padding=1, groups=2, weight_scale=3),
        block.Flatten(),
        block.Dense(neuron, 48, 5, weight_scale=40, weight_norm=True, delay=True),
    ]
    x = torch.zeros(1, 2, 7, 5, 3)
    for one in blocks:
        x = one(x)
    save(blocks, tmp_path / "a.net", input_shape=(2, 7, 5), time_steps=3)
    with h5py.File(tmp_path / "a.net") as file:
        layers = file["layer"]
        assert [layers[k]["type"][0] for k in "0123"] == [b"input", b"conv", b"flatten", b"dense"]
        assert layers["0/shape"][()].tolist() == [2, 7, 5]
        assert layers["1/shape"][()].tolist() == [4, 4, 3]
        assert file["simulation/tSample"][()] == 3
        assert layers["3/delay"].shape == (5,)
        for k in "13":
            weight = layers[k]["weight"][()]
            assert (weight % 2 == 0).all()
            assert weight.min() >= -256
            assert weight.max() <= 254
            assert np.unique(weight).size > 5
            values = {name: value[()] for name, value in layers[k]["neuron"].items()}
            assert values.keys() == COMMON | OWN[kind]
            assert values["type"] == b"QIF"
            assert values["kind"] == kind.encode()
            assert {n: values[n] for n in neuron if n != "kind"} == {n: v for n, v in neuron.items() if n != "kind"}
            assert (values["scale"], values["stateExp"], values["vThMant"]) == (64, 6, 80)
            # From rest, in units of 1 / 4096.
            assert values["vTh"] == round(1.35 * 4096)
            assert values["vReset"] == round(-0.1 * 4096)
            if kind == "euler":
                assert (values["curvature"], values["distance"]) == (round(0.3 * 2**18), round(0.55 * 4096))
            else:
                decay = np.exp(-0.3 * 0.55)
                assert values["decay"] == round(decay * 2**15)
                real = values["coupling"] / 2.0 ** values["couplingShift"]
                np.testing.assert_allclose(real, (1 - decay) / 0.55, rtol=1e-4)
            assert netx.arithmetic(values) == blocks[int(k) - 1].neuron.arithmetic


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"block 1, Dense, does not know its shape: run the network once"):
        save([block.Dense({}, 3, 2)], tmp_path / "a.net", input_shape=(3,))
    with pytest.raises(InputError, match="block 1, ReLU, cannot be exported"):
        save([torch.nn.ReLU()], tmp_path / "a.net", input_shape=(3,))
    assert not (tmp_path / "a.net").exists()
