"""Stepped networks as ONNX files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from networks import whole_images
from onnx import AttributeProto, ModelProto, NodeProto

from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, Projection, Sparse, onnx_io
from qif2hw.ir.stepped import Accumulated, Accumulator, Frames, SteppedNetwork, SteppedPopulation, Steps


def network() -> SteppedNetwork:
    """Every operator once: two neurons, three kinds of synapses, two outputs, a complex root."""
    rng = np.random.default_rng(0)
    conv = Conv2d((2, 6, 5), 4, (3, 2), (2, 1), (1, 0), (1, 2), 2)
    size = conv.shape[0]
    sparse, weight = Sparse.of(rng.normal(size=(7, size)) * (rng.random((7, size)) < 0.2))
    turning = SteppedQIF(0.25, 0.2 + 0.3j, 0.2 - 0.3j)
    return SteppedNetwork(
        Steps(3),
        (Frames("image", (2, 6, 5)), Frames("more", (3,))),
        (
            SteppedPopulation("flat", SteppedLIF(0.3, 0.1), (7,), rng.normal(size=7)),
            SteppedPopulation("conv", turning, conv.out_shape, rng.normal(size=4)),
            SteppedPopulation("left", Accumulator(), (2,), np.zeros(2)),
            SteppedPopulation("right", Accumulator(), (1,), np.ones(1)),
        ),
        (
            Projection("image", "conv", rng.normal(size=conv.weight_shape), conv),
            Projection("conv", "flat", weight, sparse),
            Projection("more", "flat", rng.normal(size=(7, 3))),
            Projection("flat", "left", rng.normal(size=(2, 7))),
            Projection("flat", "right", rng.normal(size=(1, 7))),
        ),
        (Accumulated("left", 0.5), Accumulated("right")),
    )


def test_file(tmp_path: Path) -> None:
    made = network()
    path = onnx_io.save(made, tmp_path / "m.onnx")
    assert onnx_io.load_any(path) == made
    assert onnx_io.to_bytes(onnx_io.load_any(path)) == path.read_bytes()
    onnx.checker.check_model(onnx.load(path), full_check=True)
    one = replace(made, populations=made.populations[:3], projections=made.projections[:4], outputs=made.outputs[:1])
    assert onnx_io.any_from_bytes(onnx_io.to_bytes(one)) == one
    with pytest.raises(InputError, match=r"m\.onnx: a network with a stepped clock"):
        onnx_io.load(path)


def test_whole_numbers_and_delays(tmp_path: Path) -> None:
    made = whole_images()
    path = onnx_io.save(made, tmp_path / "m.onnx")
    again = onnx_io.load_any(path)
    assert isinstance(again, SteppedNetwork)
    assert again == made
    assert [p.delay is None for p in again.projections] == [True, False, True, False, True, False]
    assert again != whole_images(seed=1)
    onnx.checker.check_model(onnx.load(path), full_check=True)


def node(model: ModelProto, op: str) -> NodeProto:
    return next(n for n in model.graph.node if n.op_type == op)


def attribute(model: ModelProto, op: str, name: str) -> AttributeProto:
    return next(a for a in node(model, op).attribute if a.name == name)


def kind(model: ModelProto) -> None:
    attribute(model, "SteppedQIF", "kind").s = b"cubic"


def steps(model: ModelProto) -> None:
    attribute(model, "SteppedLIF", "time_steps").i = 4


def shape(model: ModelProto) -> None:
    attribute(model, "SteppedQIF", "shape").ints[0] = 5


def kernel(model: ModelProto) -> None:
    attribute(model, "ConvSynapses", "kernel").ints.append(3)


def threshold(model: ModelProto) -> None:
    attribute(model, "SteppedLIF", "threshold").t.raw_data = np.float64(-1).tobytes()


def root(model: ModelProto) -> None:
    attribute(model, "SteppedQIF", "u1").t.CopyFrom(onnx.numpy_helper.from_array(np.zeros(3)))


def readout(model: ModelProto) -> None:
    node(model, "Accumulated").input[0] = "spikes:flat"


def no_bias(model: ModelProto) -> None:
    del node(model, "SteppedLIF").input[:]


def late(model: ModelProto) -> None:
    delay = node(model, "Delay")
    delay.input.append(delay.input[1])


def early(model: ModelProto) -> None:
    stored = next(t for t in model.graph.initializer if t.name == node(model, "Delay").input[1])
    stored.raw_data = np.full(stored.dims, -1).tobytes()


def decay(model: ModelProto) -> None:
    attribute(model, "SteppedCUBA", "current_decay").ints[:] = [5000]


def odd_weight(model: ModelProto) -> None:
    stored = next(t for t in model.graph.initializer if t.name.startswith("weight:2"))
    weight = onnx.numpy_helper.to_array(stored) + 0.01
    stored.CopyFrom(onnx.numpy_helper.from_array(weight, stored.name))


def no_unit(model: ModelProto) -> None:
    made = node(model, "FramesOnGrid")
    made.op_type = "Frames"
    made.attribute.remove(next(a for a in made.attribute if a.name == "unit"))


WRONG_WHOLE: dict[str, tuple[Callable[[ModelProto], Any], str]] = {
    "delay": (late, "Delay 'input->conv': it has 3 inputs, 2 are needed"),
    "early": (early, "projection input -> conv: delays from -1 to -1 steps, 0 to 4095 are possible"),
    "decay": (decay, "current_decay from 5000 to 5000, it must lie in 0 to 4096"),
    "weight": (odd_weight, "weight of projection conv -> dense holds .* no whole multiple of its unit 0.015625"),
    "unit": (no_unit, "population 'input' has a unit, input group 'image' has none"),
}


@pytest.mark.parametrize("name", WRONG_WHOLE)
def test_wrong_whole_numbers_are_refused_in_one_line(name: str) -> None:
    change, message = WRONG_WHOLE[name]
    model = ModelProto.FromString(onnx_io.to_bytes(whole_images()))
    change(model)
    with pytest.raises(InputError, match=message) as caught:
        onnx_io.any_from_bytes(model.SerializeToString())
    assert "\n" not in str(caught.value)


WRONG: dict[str, tuple[Callable[[ModelProto], Any], str]] = {
    "kind": (kind, "the discretizations are exact and euler"),
    "steps": (steps, "2 different numbers of time steps"),
    "shape": (shape, r"bias of population 'conv' has shape \(4,\)"),
    "kernel": (kernel, r"kernel = \(3, 2, 3\): 2 numbers"),
    "threshold": (threshold, "threshold"),
    "root": (root, r"the attribute 'u1' has shape \(3,\)"),
    "readout": (readout, "must come from Accumulator"),
    "no bias": (no_bias, "its first input, the bias, is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused_in_one_line(name: str) -> None:
    change, message = WRONG[name]
    model = ModelProto.FromString(onnx_io.to_bytes(network()))
    change(model)
    with pytest.raises(InputError, match=message) as caught:
        onnx_io.any_from_bytes(model.SerializeToString())
    assert "\n" not in str(caught.value)
