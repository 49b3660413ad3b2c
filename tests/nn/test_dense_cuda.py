"""The CUDA kernels of event-driven layers, in a simulator or on a device, against the compiled layer of the CPU."""

import os
import subprocess
import sys

import pytest
import torch

from qif2hw.errors import InputError
from qif2hw.nn import QIFNetwork

PROGRAM = """
import sys
import torch
from nn.cases import REGIMES, case, finite, loss
from qif2hw.nn.functional import dense_cuda

def found(layer, run, dtype, where):
    tensors = [t.detach().clone().to(dtype).to(where).requires_grad_() for t in layer.tensors]
    out = run(tensors)
    out = type(out)(*(part.cpu() for part in out))
    loss(out).backward()
    grads = [torch.zeros_like(t) if t.grad is None else t.grad.cpu() for t in tensors]
    slots = max(1, int(out.number.max()))
    return out.number, [finite(out.times)[:, :, :slots].sum(dim=2), out.psi, out.next], grads

def compare(name, layer, dtype=torch.float64, tolerance=1e-9):
    def device(tensors):
        return dense_cuda.layer(*tensors, neuron=layer.neuron, trial=layer.trial)
    here = found(layer, lambda tensors: layer.run(*tensors, dtype=dtype), dtype, "cpu")
    there, again = (found(layer, device, dtype, sys.argv[1]) for _ in range(2))
    assert torch.equal(here[0], there[0]), name
    for mine, other in zip(here[1], there[1], strict=True):
        assert (mine - other).abs().max() <= tolerance, name
    for mine, other in zip(here[2], there[2], strict=True):
        assert (mine - other).abs().max() <= tolerance * max(1.0, float(mine.abs().max())), name
    assert all(torch.equal(a, b) for a, b in zip(there[2], again[2], strict=True)), name

for regime in REGIMES:
    for seed in range(2):
        compare(regime, REGIMES[regime](seed))
for gain in (20.0, 1e3, 1e12):
    compare(gain, case(5, pre=20, depth=2, window=(0.1, 6.4), gain=gain))
silent = case(1, trial=2.0, window=(2.5, 3.0))
silent.phi0[:] = 0.5
late = case(8)
late.times[:, ::2] = 7.0
compare("silent", silent)
compare("late", late)
compare("float32", REGIMES["ordinary"](1), torch.float32, 1e-4)
dense_cuda.MOST_BYTES = 1
compare("portions", REGIMES["many spikes"](3))

bad = case(0)
bad.times[0, 0, 0] = float("nan")
try:
    dense_cuda.layer(*(t.to(sys.argv[1]) for t in bad.tensors), neuron=bad.neuron, trial=bad.trial)
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("where", ["simulator", *(["cuda"] if torch.cuda.is_available() else [])])
def test_the_kernels_equal_those_of_the_cpu(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The simulator must be chosen before numba is imported.
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1" if where == "simulator" else "0")
    monkeypatch.setenv("PYTHONPATH", "tests" + os.pathsep + os.environ.get("PYTHONPATH", ""))
    command = [sys.executable, "-c", PROGRAM, "cpu" if where == "simulator" else "cuda"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("an input spike time is negative or not a number")


def test_tensors_of_the_cpu_are_refused() -> None:
    network = QIFNetwork((2, 3, 2), seed=0)
    with pytest.raises(InputError, match="CUDA device"):
        network.run(torch.rand((2, 2), dtype=torch.float64), path="cuda")
