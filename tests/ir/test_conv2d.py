"""Convolutions are torch's, unrolled or not."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qif2hw.errors import InputError
from qif2hw.ir import Conv2d


@st.composite
def convolutions(draw: st.DrawFn) -> Conv2d:
    groups = draw(st.integers(1, 3))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, dilation = draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    sides = [draw(st.integers(n, n + 4)) for n in least]
    return Conv2d(
        (groups * draw(st.integers(1, 2)), sides[0], sides[1]), groups * draw(st.integers(1, 2)), kernel, draw(pair),
        padding, dilation, groups,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_as_torch(synapses: Conv2d, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-9, 10, synapses.weight_shape)
    x = rng.integers(-9, 10, (2, *synapses.in_shape))
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x).double(), torch.from_numpy(weight).double(), stride=synapses.stride,
        padding=synapses.padding, dilation=synapses.dilation, groups=synapses.groups,
    ).numpy()  # fmt: skip
    assert expected.shape[1:] == synapses.out_shape
    sent = x.reshape(2, -1)
    made = synapses.apply(weight, sent)
    assert made.dtype == np.int64
    assert np.array_equal(made, expected.reshape(2, -1))
    full = synapses.dense(weight)
    assert full.shape == synapses.shape
    assert np.array_equal(sent @ full.T, made)
    total = np.zeros_like(made)
    synapses.by_source(weight).add(sent, total)
    assert np.array_equal(total, made)
    assert np.array_equal(synapses.sums(weight), full.sum(axis=1))
    assert np.array_equal(synapses.fan_in, (synapses.dense(np.ones_like(weight)) != 0).sum(axis=1))
    assert np.array_equal(synapses.fan_out, (synapses.dense(np.ones_like(weight)) != 0).sum(axis=0))
    assert synapses.count == len(synapses.edges().post)
    first, stop = np.sort(rng.integers(0, synapses.shape[0] + 1, 2))
    some = (synapses.dense(np.ones_like(weight)) != 0)[first:stop].sum(axis=0)
    assert np.array_equal(synapses.fan_out_to(first, stop), some)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "groups": ({"groups": 2}, "2 groups do not divide 3 input and 4 output channels"),
    "kernel": ({"kernel": (9, 1)}, r"a kernel of \(9, 1\) with dilation \(1, 1\) does not fit into \(5, 6\)"),
    "stride": ({"stride": (0, 1)}, r"stride = \(0, 1\): 2 numbers from 1 are needed"),
    "padding": ({"padding": (-1, 1)}, "padding = "),
    "channels": ({"out_channels": 0}, "0 output channels"),
    "shape": ({"in_shape": (5, 6)}, r"in_shape = \(5, 6\): 3 numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_numbers_are_refused(name: str) -> None:
    changes, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        Conv2d(**({"in_shape": (3, 5, 6), "out_channels": 4, "kernel": (3, 3)} | changes))
