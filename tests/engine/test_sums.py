"""Sums of projections in floating point equal those of whole numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qif2hw.engine.stepped.blocks import blocks_of
from qif2hw.engine.stepped.sums import Sums, currents
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, Dense, ProgramProjection, Sparse


def check(sums: Sums, projection: ProgramProjection, sent: NDArray[Any]) -> None:
    expected = projection.synapses.apply(projection.weight.astype(np.int64), sent.astype(np.int64))
    received = sums(sent)
    assert received.dtype == sums.kind
    assert np.array_equal(received.reshape(expected.shape), expected)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv2d, NDArray[np.int16], tuple[int, int]]:
    """Any convolution, its weights, and blocks in which they are equal."""
    block = draw(st.sampled_from([(1, 1), (2, 2), (1, 2), (3, 1), (2, 3)]))
    sizes, small = st.integers(1, 40), st.integers(1, 3)
    groups = draw(small)
    pair = [tuple(b * draw(st.integers(least, 3)) for b in block) for least in (1, 1, 0)]
    dilation = tuple(draw(small) if b == 1 else 1 for b in block)
    shape = (groups * draw(small), draw(sizes), draw(sizes))
    try:
        synapses = Conv2d(shape, groups * draw(st.integers(1, 19)), *pair, dilation, groups)  # type: ignore[arg-type]
    except InputError:
        assume(False)
    out, per, *kernel = synapses.weight_shape
    few = (out, per, *(k // b for k, b in zip(kernel, block, strict=True)))
    seed = draw(st.integers(0, 2**32 - 1))
    weight = np.random.default_rng(seed).integers(-128, 128, few, np.int16) * np.int16(2)
    return synapses, weight.repeat(block[0], 2).repeat(block[1], 3), block


@settings(max_examples=200, deadline=None)
@given(case=convolutions(), seed=st.integers(0, 2**32 - 1), graded=st.booleans())
def test_convolutions(case: tuple[Conv2d, NDArray[np.int16], tuple[int, int]], seed: int, graded: bool) -> None:
    synapses, weight, _ = case
    rng = np.random.default_rng(seed)
    sent = rng.integers(-255, 256, (2, 3, synapses.shape[1])) if graded else rng.random((2, 3, synapses.shape[1])) < 0.3
    projection = ProgramProjection("a", "b", weight, 0, synapses)
    check(Sums(projection, synapses.in_shape, 255 if graded else 1), projection, sent)


def test_pooled_weights_are_found() -> None:
    rng = np.random.default_rng(0)
    pooled = Conv2d((16, 28, 28), 32, (6, 6), (2, 2), (2, 2))
    weight = 2 * rng.integers(-100, 100, (32, 16, 3, 3)).repeat(2, 2).repeat(2, 3)
    found = blocks_of(pooled, weight, (16, 28, 28))
    assert found.block == (2, 2)
    assert found.synapses == Conv2d((16, 14, 14), 32, (3, 3), padding=(1, 1))
    weight[5, 3, 2, 2] += 2
    assert blocks_of(pooled, weight, (16, 28, 28)).block == (1, 1)
    whole = 2 * rng.integers(-100, 100, (10, 8)).repeat(12, 1)
    found = blocks_of(Dense(10, 96), whole, (8, 3, 4))
    assert found.block == (3, 4)
    assert found.weight.shape == (10, 8)
    assert blocks_of(Dense(10, 96), whole, (96,)).block == (1, 1)


@pytest.mark.parametrize("block", [(1, 1), (2, 2), (4, 1), (2, 3)])
def test_dense(block: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-100, 100, (7, 5, 4 // block[0], 6 // block[1])).repeat(block[0], 2).repeat(block[1], 3)
    projection = ProgramProjection("a", "b", weight.reshape(7, 120))
    sums = Sums(projection, (5, 4, 6), 1)
    assert sums.blocks.block == block
    for sent in (rng.random((3, 4, 120)) < 0.3, rng.integers(-9, 10, (3, 1, 120))):
        check(sums, projection, sent)


@pytest.mark.parametrize("full", [True, False])
def test_listed(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qif2hw.engine.stepped.sums.FULL", 1 << 24 if full else 0)
    rng = np.random.default_rng(0)
    synapses, _ = Sparse.of(rng.random((30, 50)) < 0.1)
    projection = ProgramProjection("a", "b", 2 * rng.integers(-100, 100, synapses.weight_shape), 0, synapses)
    check(Sums(projection, (50,), 1), projection, rng.random((3, 4, 50)) < 0.3)


def test_large_sums_are_exact() -> None:
    """Sums beyond 2^24 are added up in float64."""
    rng = np.random.default_rng(0)
    wide = Conv2d((4, 20, 20), 3, (19, 19))
    weight = np.full(wide.weight_shape, 254) - 2 * rng.integers(0, 2, wide.weight_shape)
    projection = ProgramProjection("a", "b", weight, -6, wide)
    sums = Sums(projection, (4, 20, 20), 255)
    assert sums.kind == np.float64
    sent = rng.integers(200, 256, (3, 1, 1600))
    check(sums, projection, sent)
    received = sums(sent)
    assert (received % 2 == 0).all()
    assert (received.astype(np.float32) != received).any()
    total = currents(np.arange(12), [(received, -6), (np.ones((3, 2, 1, 12)), 3)])
    whole = (received.astype(np.int64) + 32 >> 6).reshape(3, 1, 12)
    assert np.array_equal(total, np.arange(12) + 8 + whole.repeat(2, 1))
