"""The CUDA kernels of neurons in discrete time, in numba's simulator, against the compiled pass of the CPU."""

import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from qif2hw.discrete import SteppedLIF, SteppedQIF
from qif2hw.kernels import discrete, discrete_cuda
rng = np.random.default_rng(0)
steps, n = 4, 300
for dtype in (np.float32, np.float64):
    for q in (SteppedQIF(reset=-0.2), SteppedQIF(kind="euler", gain=0.7), SteppedLIF(rest=0.1, reset=-0.1)):
        numbers = np.array([*q.relaxation, q.gain, q.threshold, q.reset]).astype(dtype)
        for rows in (1, steps):
            x, start = rng.normal(size=(rows, n)).astype(dtype), rng.normal(-1, 1, n).clip(max=0.9).astype(dtype)
            window = np.array([0.5, 0.6, 0.7, 0.4], dtype)
            rates = (0.5 / window).astype(dtype)
            g, gu = rng.normal(size=(steps, n)).astype(dtype), rng.normal(size=n).astype(dtype)
            found = []
            for device in (False, True):
                u, v, s = start.copy(), np.full((steps, n), np.nan, dtype), np.full((steps, n), np.nan, dtype)
                gx, ga = np.full((rows, n), np.nan, dtype), gu.copy()
                jump = numbers[-2:-1] - numbers[-1:]
                if device:
                    grid = discrete_cuda.blocks(n), discrete_cuda.THREADS
                    discrete_cuda.forward[grid](x, u, v, s, numbers)
                    discrete_cuda.backward[grid](v, start, g, ga, window, rates, jump, numbers, gx)
                else:
                    discrete.forward(x, u, v, s, tuple(numbers))
                    sums = np.zeros((0, len(numbers)))
                    discrete.backward(v, start, g, ga, gx, window, rates, jump[0], tuple(numbers), gx, sums)
                found.append((s, u, v, gx, ga))
            assert (found[0][0] == found[1][0]).all() and 0 < found[0][0].sum() < steps * n
            for ours, theirs in zip(*found):
                np.testing.assert_allclose(theirs, ours, rtol=2e-6 if dtype == np.float32 else 1e-13, atol=1e-6)
print("equal")
"""


def test_the_kernels_equal_those_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # The simulator must be chosen before numba is imported.
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "equal\n"), done.stderr
