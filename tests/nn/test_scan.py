"""The scan over whole batches against the compiled kernel: values and gradients, in every regime."""

import pytest
import torch
from nn.cases import REGIMES, Case, case, finite, loss

from qif2hw.errors import InputError
from qif2hw.nn import QIFNetwork
from qif2hw.nn.functional import scan

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def both(layer: Case, device: str = "cpu") -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Spike counts, times, pseudo-phases, next spikes and four gradients; of the kernel, and of the scan."""
    found = []
    for where in ("cpu", device):
        tensors = [t.detach().clone().to(where if found else "cpu").requires_grad_() for t in layer.tensors]
        if found:
            out = scan.layer(*tensors, neuron=layer.neuron, trial=layer.trial)
            out = type(out)(*(part.cpu() for part in out))
        else:
            out = layer.run(*tensors)
        loss(out).backward()
        slots = int(out.number.max())
        values = [out.number, finite(out.times)[:, :, :slots].detach(), out.psi.detach(), out.next.detach()]
        grads = [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]
        found.append([*values, *(g.cpu() for g in grads)])
    return found[0], found[1]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seed", range(6))
def test_equals_the_kernel(regime: str, seed: int, device: str) -> None:
    kernel, scan = both(REGIMES[regime](seed), device)
    assert torch.equal(kernel[0], scan[0])
    for mine, other in zip(kernel[1:4], scan[1:4], strict=True):
        assert (mine - other).abs().max() <= 1e-9
    for mine, other in zip(kernel[4:], scan[4:], strict=True):
        assert (mine - other).abs().max() <= 1e-9 * max(1.0, float(mine.abs().max()))


@pytest.mark.parametrize("gain", [20.0, 1e3, 1e12])
def test_weights_of_any_size(gain: float) -> None:
    kernel, scan = both(case(5, pre=40, depth=2, window=(0.1, 6.4), gain=gain))
    assert torch.equal(kernel[0], scan[0])
    for mine, other in zip(kernel[1:], scan[1:], strict=True):
        assert (mine - other).abs().max() <= 1e-9 * max(1.0, float(mine.abs().max()))


def test_a_batch_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = REGIMES["many spikes"](3)
    monkeypatch.setitem(scan.CELLS, "cpu", 1)
    kernel, other = both(layer)
    for mine, theirs in zip(kernel, other, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-9)


def test_no_spike_at_all_equal_times_and_late_ones() -> None:
    silent = case(1, trial=2.0, window=(2.5, 3.0))
    silent.phi0[:] = 0.5
    tied = case(7)
    tied.times[:] = 1.0
    late = case(8)
    late.times[:, ::2] = 7.0
    for layer in (silent, tied, late):
        for mine, other in zip(*both(layer), strict=True):
            assert torch.allclose(mine, other, rtol=1e-9, atol=1e-9)


def test_float32() -> None:
    layer = REGIMES["hidden"](1)
    tensors = [t.float() for t in layer.tensors]
    out = scan.layer(*tensors, neuron=layer.neuron, trial=layer.trial)
    assert torch.allclose(out.first().double(), layer.run().first(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_networks_take_a_path(device: str) -> None:
    network = QIFNetwork((2, 9, 8, 4), seed=2)
    x = torch.rand((5, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    results = []
    for path, where in (("kernel", "cpu"), ("eager", "cpu"), ("scan", device)):
        network.to(where).zero_grad()
        y = network.run(x.to(where), path=path).y
        y.sin().sum().backward()
        # Copies: `to` moves the gradients themselves.
        results.append([y.detach().cpu(), *(p.grad.to("cpu", copy=True) for p in network.parameters())])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.allclose(a, b, rtol=1e-9, atol=1e-9)
    with pytest.raises(InputError, match="known are kernel"):
        network.run(x, path="abacus")


def test_bad_input_times() -> None:
    layer = case(0)
    layer.times[0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="spike time"):
        scan.layer(*layer.tensors, neuron=layer.neuron, trial=layer.trial)
