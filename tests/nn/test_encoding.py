"""Encoding and decoding: numbers, arrays, tensors and compiled code give the same bits."""

import mpmath
import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qif2hw import neuron

law = settings(deadline=None)
_latency, _difference = numba.njit(neuron.latency), numba.njit(neuron.difference)


@law
@given(x=st.floats(0, 1), earliest=st.floats(0.01, 2), span=st.floats(0.1, 5))
def test_latency(x: float, earliest: float, span: float) -> None:
    latest = earliest + span
    times = neuron.latency(np.array([0.0, x, 1.0]), earliest, latest)
    assert times[0] == latest
    assert times[2] == pytest.approx(earliest, rel=1e-12)
    assert times[1] == pytest.approx(float(mpmath.mpf(x) * earliest + (1 - mpmath.mpf(x)) * latest), rel=1e-12)
    bounds = (torch.tensor(t, dtype=torch.float64) for t in (earliest, latest))
    assert neuron.latency(torch.tensor(x, dtype=torch.float64), *bounds).item() == times[1]
    assert _latency(x, earliest, latest) == neuron.latency(x, earliest, latest) == times[1]


@law
@given(start=st.floats(0, 9), stop=st.floats(0, 9), scale=st.floats(-3, 3), offset=st.floats(-3, 3))
def test_difference(start: float, stop: float, scale: float, offset: float) -> None:
    y = neuron.difference(np.array([start]), np.array([stop]), scale, offset)[0]
    exact = mpmath.mpf(offset) + mpmath.mpf(scale) * (mpmath.mpf(stop) - mpmath.mpf(start))
    assert y == pytest.approx(float(exact), rel=1e-12, abs=1e-12)
    tensors = (torch.tensor(v, dtype=torch.float64) for v in (start, stop, scale, offset))
    assert neuron.difference(*tensors).item() == y
    assert _difference(start, stop, scale, offset) == neuron.difference(start, stop, scale, offset) == y
