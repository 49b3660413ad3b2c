"""Random layers in the regimes that a layer can be in, and the derivatives to compare with."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qif2hw.neuron import QIF
from qif2hw.nn.functional import dense, eager
from qif2hw.nn.functional.output import LayerOutput

F64 = torch.float64


@dataclass
class Case:
    """Arguments of a layer; those that a gradient is wanted for come first."""

    times: Tensor
    psi: Tensor
    weight: Tensor
    phi0: Tensor
    neuron: QIF
    trial: float

    @property
    def tensors(self) -> list[Tensor]:
        return [self.times, self.psi, self.weight, self.phi0]

    def run(self, *tensors: Tensor, oracle: bool = False, dtype: torch.dtype = F64, **options: float) -> LayerOutput:
        call: Callable[..., LayerOutput] = eager.layer if oracle else dense.layer
        arguments = [t.to(dtype) for t in (tensors or self.tensors)]
        return call(*arguments, neuron=self.neuron, trial=self.trial, **options)


def case(
    seed: int,
    *,
    batch: int = 3,
    pre: int = 6,
    post: int = 11,
    depth: int = 1,
    trial: float = 6.5,
    gain: float = 0.9,
    window: tuple[float, float] = (0.05, 1.95),
    neuron: QIF | None = None,
) -> Case:
    g = torch.Generator().manual_seed(seed)
    neuron = neuron or QIF()

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=g, dtype=F64)

    times = uniform(*window, batch, pre, depth).sort(dim=2).values
    if depth > 1:
        absent = torch.rand((batch, pre, depth), generator=g) < 0.3
        times = torch.where(absent, torch.full_like(times, torch.inf), times).sort(dim=2).values
    return Case(
        times=times,
        psi=uniform(0, 1, batch, pre) if depth > 1 else torch.zeros((batch, pre), dtype=F64),
        weight=uniform(-gain, gain, post, pre),
        phi0=uniform(0, neuron.period, post),
        neuron=neuron,
        trial=trial,
    )


REGIMES: dict[str, Callable[[int], Case]] = {
    "ordinary": lambda seed: case(seed),
    "pseudospikes": lambda seed: case(seed, trial=2.0),
    "hidden": lambda seed: case(seed, depth=3, window=(0.1, 6.4)),
    "many spikes": lambda seed: case(seed, depth=4, trial=25.0, window=(0.1, 24.0), gain=1.5),
    "long gaps": lambda seed: case(seed, pre=2, trial=60.0, window=(20.0, 40.0)),
    "fast": lambda seed: case(seed, trial=6.5, neuron=QIF(tau=0.3, i0=2.0)),
    "strong": lambda seed: case(seed, depth=2, window=(0.1, 6.4), gain=4.0),
}


def finite(times: Tensor) -> Tensor:
    return torch.where(torch.isinf(times), torch.zeros_like(times), times)


def loss(out: LayerOutput, seed: int = 0, slots: int = 8) -> Tensor:
    """A random linear function of everything a layer gives."""
    g = torch.Generator().manual_seed(seed)
    batch, post = out.psi.shape
    c = torch.randn((batch, post, slots + 2), generator=g, dtype=F64).to(out.psi.dtype)
    used = out.times.shape[2]
    spikes = (c[:, :, : min(slots, used)] * finite(out.times[:, :, :slots])).sum()
    return spikes + (c[:, :, slots] * out.psi).sum() + (c[:, :, slots + 1] * out.next).sum()


def gradients(case: Case, *, oracle: bool = False, dtype: torch.dtype = F64, **options: float) -> list[Tensor]:
    tensors = [t.clone().to(dtype).requires_grad_() for t in case.tensors]
    loss(case.run(*tensors, oracle=oracle, dtype=dtype, **options)).backward()
    return [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]


def directional(f: Callable[[float], float], h: float) -> float:
    """Central difference at 0, extrapolated to an error of order h^4."""
    coarse, fine = (f(h) - f(-h)) / (2 * h), (f(h / 2) - f(-h / 2)) / h
    return (4 * fine - coarse) / 3
