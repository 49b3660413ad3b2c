"""Files that are not read: each is one line that names the layer and what is wrong.  Needs h5py alone."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from slayer_files import write

import qif2hw
from qif2hw.ir.stepped import Accumulator
from qif2hw_slayer.importer import import_network


def put(key: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if key in file:
            del file[key]
        file[key] = value

    return change


def drop(*keys: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        for key in keys:
            del file[key]

    return change


def complex_weights(file: h5py.File) -> None:
    del file["layer/4/weight"]
    file["layer/4/weight/real"], file["layer/4/weight/imag"] = np.zeros((3, 8)), np.zeros((3, 8))


def nir(file: h5py.File) -> None:
    del file["layer"]
    file.create_group("node"), file.create_group("edge")


WRONG: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "no layers": (drop("layer"), "an HDF5 file, but no network of SLAYER: it has no layers under 'layer'"),
    "nir": (nir, r"no network of SLAYER: .* \(it looks like NIR\)"),
    "hole": (drop("layer/2"), "its layers are named 0, 1, 3, 4 ..., 0 to 3 are needed"),
    "layer is a number": (put("layer/3", 1), "layer 3 is no group"),
    "no type": (drop("layer/1/type"), "layer 1: 'type' is missing"),
    "type": (put("layer/1/type", b"attention"), "layer 1: unknown type 'attention', known are input, dense, conv"),
    "transposed": (put("layer/1/type", b"convT"), r"layer 1 \(convT\): a transposed convolution is not supported"),
    "recurrent": (put("layer/4/type", b"dense_rec"), r"layer 4 \(dense_rec\): a recurrent layer is not supported"),
    "key": (put("layer/4/mask", 1), r"layer 4 \(dense\): unknown key 'mask'"),
    "complex": (complex_weights, r"layer 4 \(dense\): its weights are complex"),
    "no weight": (drop("layer/4/weight"), r"layer 4 \(dense\): 'weight' is missing"),
    "no stride": (drop("layer/1/stride"), r"layer 1 \(conv\): 'stride' is missing"),
    "no threshold": (drop("layer/4/neuron/vThMant"), r"layer 4 \(dense\): 'vThMant' of its neuron is missing"),
    "no decay": (drop("layer/4/neuron/vDecay"), r"layer 4 \(dense\): 'vDecay' of its neuron is missing"),
    "neuron": (put("layer/4/neuron/type", "RF_IZ"), r"layer 4 \(dense\): the type of its neuron is 'RF_IZ': CUBA"),
    "sdnn": (put("layer/2/neuron/type", "SDNN"), r"layer 2 \(pool\): the type of its neuron is 'SDNN'"),
    "no neuron type": (drop("layer/4/neuron/type"), r"layer 4 \(dense\): the type of its neuron is missing"),
    "neuron key": (put("layer/4/neuron/noise", 1), r"layer 4 \(dense\): unknown key 'noise' of its neuron"),
    "refractory": (put("layer/4/neuron/refDelay", 3), r"layer 4 \(dense\): 'refDelay' of its neuron is 3, 1 alone"),
    "graded": (put("layer/4/neuron/gradedSpike", True), r"'gradedSpike' of its neuron is 1, 0 alone is supported"),
    "exponent": (put("layer/4/neuron/wgtExp", 1), r"'wgtExp' of its neuron is 1, 0 alone is supported"),
    "decay": (put("layer/4/neuron/iDecay", 5000), r"layer 4 \(dense\): CUBA neuron: current_decay from 5000 to 5000"),
    "half a decay": (put("layer/4/neuron/iDecay", 0.5), r"'iDecay' of the neuron of layer 4 \(dense\) holds 0.5"),
    "decays": (put("layer/4/neuron/iDecay", [1, 2]), "population 'layer4': current_decay has 2 values, one or one for"),
    "qif": (put("layer/4/neuron/type", "QIF"), r"layer 4 \(dense\): the kind of its QIF neuron is None"),
    "weight": (put("layer/4/weight", np.full((3, 8), 0.5)), r"'weight' of layer 4 \(dense\) holds 0.5: whole numbers"),
    "nan": (put("layer/4/weight", np.full((3, 8), np.nan)), r"layer 4 \(dense\): 'weight' holds nan at \[0, 0\]"),
    "text": (put("layer/4/weight", "heavy"), r"layer 4 \(dense\): 'weight' holds no numbers"),
    "inputs": (put("layer/4/weight", np.ones((3, 7))), r"layer 4 \(dense\): .* shape \(3, 7\), 8 inputs reach it"),
    "outputs": (put("layer/4/shape", [4]), r"layer 4 \(dense\): its shape is \(4,\), its weights make \(3,\)"),
    "bias": (put("layer/4/bias", [1.0, 2.0]), r"layer 4 \(dense\): 'bias' has 2 values, one for each of 3 channels"),
    "early": (put("layer/4/delay", [0, -1, 0]), "delays from -1 to 0 steps, 0 to 4095 are possible"),
    "groups": (put("layer/1/groups", 2), r"layer 1 \(conv\): convolution: 2 groups do not divide 1 input"),
    "kernel": (put("layer/1/kernelSize", [3, 2]), r"layer 1 \(conv\): its kernel: the weight has shape \(2, 1, 3, 3\)"),
    "window": (put("layer/2/stride", [1, 2]), r"layer 2 \(pool\): pooling whose stride is not its kernel"),
    "odd": (
        lambda file: [put("layer/0/shape", [1, 5, 6])(file), put("layer/1/shape", [2, 3, 4])(file)],  # type: ignore[return-value]
        r"layer 2 \(pool\): windows of \(2, 2\) do not tile an image of 3 x 4",
    ),
    "flat": (put("layer/0/shape", [36]), r"layer 1 \(conv\): it needs an image .* it is given a shape \(36,\)"),
    "shape": (put("layer/0/shape", [1, 6.5, 6]), r"layer 0 \(input\): its shape is \[1.0, 6.5, 6.0\]"),
    "no shape": (drop("layer/0/shape"), "the file does not say the shape of its input"),
    "input": (put("layer/2/type", b"input"), r"layer 2 \(input\): unknown key 'dilation'"),
    "time": (drop("simulation"), "the file does not say how many time steps a sample has"),
    "groups of neurons": (
        lambda file: [put("layer/5/type", b"average")(file), put("layer/5/shape", [2, 1, 1])(file)],  # type: ignore[return-value]
        r"layer 5 \(average\): 3 neurons cannot be averaged in 2 groups",
    ),
    "silent": (
        put("layer/1/neuron/vThMant", (1 << 18) - 1),
        r"layer 2 \(pool\): nothing can follow a layer that does not spike",
    ),
    "wide weights": (
        put("layer/4/weight", 2.0 * np.arange(24).reshape(3, 8) + 250),
        r"weights of projection layer2 -> layer4: integers from 16000 to 18944 do not fit 8 bits and an exponent",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(name: str, tmp_path: Path) -> None:
    change, message = WRONG[name]
    with pytest.raises(qif2hw.InputError, match=message) as caught:
        qif2hw.compile(import_network(write(tmp_path / "a.net", change)))
    assert "\n" not in str(caught.value)
    assert name == "wide weights" or "a.net: " in str(caught.value)


def test_other_files(tmp_path: Path) -> None:
    text = tmp_path / "text.net"
    text.write_text("layer")
    with pytest.raises(qif2hw.InputError, match=r"text.net: not an HDF5 file, as networks of SLAYER are"):
        import_network(text)
    with pytest.raises(qif2hw.InputError, match=r"none.net: cannot be read \(no such file"):
        import_network(tmp_path / "none.net")
    whole = write(tmp_path / "whole.net").read_bytes()
    for size in (8, 100, 2000, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.net").write_bytes(whole[:size])
        with pytest.raises(qif2hw.InputError, match=r"cut.net: a damaged or cut HDF5 file") as caught:
            import_network(tmp_path / "cut.net")
        assert "\n" not in str(caught.value)
    with pytest.raises(qif2hw.InputError, match="inputs = spikes: values and bias are possible"):
        import_network(tmp_path / "whole.net", inputs="spikes")  # type: ignore[arg-type]
    with pytest.raises(qif2hw.InputError, match="inputs = bias: the file has no layer of input neurons"):
        import_network(tmp_path / "whole.net", inputs="bias")
    with pytest.raises(qif2hw.InputError, match=r"the input has shape \(1, 6, 6\) in the file, \(2, 6, 6\) is given"):
        import_network(tmp_path / "whole.net", input_shape=(2, 6, 6))
    with pytest.raises(qif2hw.InputError, match="time steps = 0: at least one is needed"):
        import_network(tmp_path / "whole.net", time_steps=0)


def test_any_byte(tmp_path: Path) -> None:
    """A damaged file is read, or refused in one line; h5py's own errors never come through."""
    whole = np.frombuffer(write(tmp_path / "a.net").read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused, lines = 0, 0
    for _ in range(300):
        changed = whole.copy()
        changed[rng.integers(len(whole), size=4)] = rng.integers(0, 256, 4)
        (tmp_path / "b.net").write_bytes(changed.tobytes())
        try:
            import_network(tmp_path / "b.net")
        except qif2hw.InputError as error:
            refused += "\n" not in str(error)
            lines += "\n" in str(error)
    assert not lines
    assert refused > 10


def test_what_others_write(tmp_path: Path) -> None:
    """Shapes that were not known when a file was written, and no input layer: read where the rest says enough."""

    def unknown(file: h5py.File) -> None:
        for k in (1, 2, 3, 4):
            put(f"layer/{k}/shape", h5py.Empty("i8"))(file)

    plain = import_network(write(tmp_path / "plain.net"))
    assert import_network(write(tmp_path / "a.net", unknown)) == plain

    def no_input(file: h5py.File) -> None:
        del file["layer/0"]
        for k in (1, 2, 3, 4):
            file.move(f"layer/{k}", f"layer/{k - 1}")

    again = import_network(write(tmp_path / "b.net", no_input), input_shape=(1, 6, 6), time_steps=5)
    x = np.random.default_rng(0).integers(0, 3, (4, 5, 1, 6, 6))
    assert np.array_equal(qif2hw.compile(again).run(x).y, qif2hw.compile(plain).run(x).y)
    with pytest.raises(qif2hw.InputError, match="the file does not say the shape of its input"):
        import_network(tmp_path / "b.net", time_steps=5)

    def no_neuron(file: h5py.File) -> None:
        del file["layer/4/neuron"], file["layer/4/delay"]

    last = import_network(write(tmp_path / "c.net", no_neuron)).populations[-1]
    assert isinstance(last.neuron, Accumulator)
    assert (last.name, last.bias.tolist()) == ("layer4", [2.0, -2.0, 0.0])


def test_neither_torch_nor_lava_is_needed(tmp_path: Path) -> None:
    """Nor anything else beside numpy, onnx, numba and h5py."""
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'lava', 'scipy', 'sklearn', 'matplotlib']))\n"
        "import qif2hw\nfrom qif2hw_slayer.importer import import_network\n"
        "print(qif2hw.compile(import_network(sys.argv[1])).golden)"
    )
    command = [sys.executable, "-c", script, str(write(tmp_path / "a.net"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "SteppedGolden(17 samples" in done.stdout


def test_inputs_of_a_bundle_are_checked(tmp_path: Path) -> None:
    bundle = qif2hw.compile(import_network(write(tmp_path / "a.net")))
    with pytest.raises(qif2hw.InputError, match=r"takes spikes or numbers of events, holds 0.5, which is no whole"):
        bundle.run(np.full((1, 1, 6, 6), 0.5))
    with pytest.raises(qif2hw.InputError, match=r"input group 'input' is given 300: it takes values up to 255 in size"):
        bundle.run(np.full((1, 1, 6, 6), 300))
    with pytest.raises(qif2hw.InputError, match=r"inputs have shape \(2, 3\)"):
        bundle.run(np.zeros((2, 3)))
