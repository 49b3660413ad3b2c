"""A layer of QIF neurons as a torch module, with weights on the hardware's grid if wanted."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

import numpy as np
import torch
from torch import Tensor, nn

from qif2hw.errors import InputError
from qif2hw.ir.weight_grid import nearest_unit, round_to_grid, weight_step
from qif2hw.neuron import QIF
from qif2hw.nn.functional import dense, eager, scan
from qif2hw.nn.functional.dense import LayerOutput, Run

Route: TypeAlias = Literal["kernel", "accelerator", "eager"]
"""Ways to compute a layer: `function.layer`, `accelerator.layer`, `eager.layer`."""

ROUTES: tuple[str, ...] = get_args(Route)


class _Rounded(torch.autograd.Function):
    """Weights on the grid forward, the identity backward (straight through)."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bits: int) -> Tensor:
        values = weight.detach().double().cpu().numpy()
        unit = nearest_unit(values, bits)
        return torch.from_numpy(unit * round_to_grid(values, unit, bits)).to(weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


class QIFLayer(nn.Module):
    """QIF neurons with all-to-all synapses from their inputs; several sources are concatenated.

    Parameters
    ----------
    pre, post
        Number of presynaptic channels and of neurons.
    trial
        Length ``T`` of a trial.
    neuron
        Parameters of the neurons.
    weight_bits
        Round the weights to the grid of `qif2hw.ir.weight_grid` in the forward pass; None leaves them free.
    spread
        Weights start uniform in ``+-spread / sqrt(pre)``.
    phases
        Initial phases start uniform in this range.
    dtype
        float64 or float32.
    """

    def __init__(
        self,
        pre: int,
        post: int,
        *,
        trial: float,
        neuron: QIF | None = None,
        weight_bits: int | None = None,
        spread: float = 0.9,
        phases: tuple[float, float] = (2.0, 5.0),
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        if pre < 1 or post < 1:
            raise InputError(f"a layer of {post} neurons with {pre} inputs: at least one of each is needed")
        self.neuron = neuron or QIF()
        self.trial = trial
        self.weight_bits = weight_bits
        self.capacity = 2
        bound = spread / pre**0.5
        uniform = torch.rand((post, pre), generator=generator, dtype=torch.float64)
        start = torch.rand(post, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter((bound * (2 * uniform - 1)).to(dtype))
        self.phi0 = nn.Parameter((phases[0] + (phases[1] - phases[0]) * start).to(dtype))
        self.keep_inside()

    @property
    def weight_bits(self) -> int | None:
        """Bits of the weights' grid; None for free weights."""
        return self._weight_bits

    @weight_bits.setter
    def weight_bits(self, bits: int | None) -> None:
        if bits is not None:
            weight_step(bits)
        self._weight_bits = bits

    def effective_weight(self) -> Tensor:
        """Weights as the neurons see them: on the grid if `weight_bits` says so."""
        if self.weight_bits is None:
            return self.weight
        rounded: Tensor = _Rounded.apply(self.weight, self.weight_bits)
        return rounded

    @torch.no_grad()
    def centre(self) -> None:
        """Shift each neuron's weights so that inputs of pseudo-phase 1/2 shear it, at the trial's end, to its middle.

        There ``theta' = pi / 2``, where the pseudospike moves most with its inputs; assumes no ordinary spikes.
        """
        theta = self.neuron.omega * (self.phi0 + self.trial)
        wanted = self.neuron.r * torch.cos(theta) / torch.sin(theta)
        self.weight.add_((2 * wanted / self.weight.shape[1] - self.weight.mean(dim=1)).unsqueeze(1))

    @torch.no_grad()
    def keep_inside(self) -> None:
        """Put the initial phases back into [0, Theta)."""
        top = np.nextafter(self.neuron.period, 0.0) if self.phi0.dtype == torch.float64 else None
        if top is None:
            top = float(np.nextafter(np.float32(self.neuron.period), np.float32(0.0)))
        self.phi0.clamp_(0.0, top)

    def forward(self, times: Tensor, psi: Tensor | None = None, *, path: Route | None = None) -> LayerOutput:
        """Spikes of the neurons.

        Parameters
        ----------
        times
            Input spike times (batch, pre, K), padded with infinity.
        psi
            Pseudo-phases of presynaptic neurons (batch, pre); none for input channels.
        path
            How to compute it; by default the compiled kernel on the CPU, the accelerator's scan elsewhere.
        """
        path = route(times, path)
        if path == "kernel":
            return run_chain([self], times, psi).layers[0]
        if psi is None:
            psi = times.new_zeros(times.shape[:2])
        weight = self.effective_weight()
        if path == "eager":
            return eager.layer(times, psi, weight, self.phi0, neuron=self.neuron, trial=self.trial)
        return scan.layer(times, psi, weight, self.phi0, neuron=self.neuron, trial=self.trial)


def route(times: Tensor, path: Route | None) -> Route:
    """The way to compute what follows these spikes: ``path``, or by default the one for the device they are on."""
    if path is None:
        return "kernel" if times.device.type == "cpu" else "accelerator"
    if path not in ROUTES:
        raise InputError(f"path {path!r}: known are {', '.join(ROUTES)}")
    return path


def one_kind(layers: Sequence[nn.Module]) -> TypeGuard[Sequence[QIFLayer]]:
    """Whether `run_chain` can take them: all-to-all layers of equal neurons and trials."""
    first = layers[0]
    for layer in layers:
        if type(layer) is not QIFLayer or type(first) is not QIFLayer:
            return False
        if (layer.neuron is not first.neuron and layer.neuron != first.neuron) or layer.trial != first.trial:
            return False
    return True


def run_chain(
    layers: Sequence[QIFLayer], times: Tensor, psi: Tensor | None, *,
    encoder: tuple[Tensor, Tensor] | None = None, readout: tuple[Tensor, Tensor] | None = None,
) -> Run:  # fmt: skip
    """Layers of equal neurons and trials one behind the other, by the compiled kernel; see `function.chain`."""
    run, rooms = dense.chain(
        times,
        psi,
        [(layer.effective_weight(), layer.phi0) for layer in layers],
        neuron=layers[0].neuron,
        trial=layers[0].trial,
        capacities=[layer.capacity for layer in layers],
        encoder=encoder,
        readout=readout,
    )
    for layer, room in zip(layers, rooms, strict=True):
        if layer.capacity != room:
            layer.capacity = room
    return run
