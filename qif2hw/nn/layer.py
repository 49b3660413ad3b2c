"""A layer of QIF neurons as a torch module, with weights on the hardware's grid if wanted."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from qif2hw.errors import InputError
from qif2hw.ir.synapses import AnySynapses, Dense, Sparse
from qif2hw.ir.weight_grid import nearest_unit, round_to_grid, weight_step
from qif2hw.neuron import QIF
from qif2hw.nn.functional import cuda_device, dense, dense_cuda, eager, recurrent, scan, sparse
from qif2hw.nn.functional.arguments import refuse_tracers
from qif2hw.nn.functional.output import ForwardPass, LayerOutput

Route: TypeAlias = Literal["kernel", "cuda", "scan", "eager"]
"""Ways to compute a layer: a compiled kernel of the CPU or of a CUDA device, `qif2hw.nn.functional.scan`, `eager`."""

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
    """QIF neurons with synapses from their inputs; several sources are concatenated.

    The synapses choose the kernel: all to all, listed (at the cost of those listed), or with feedback.  Parameters are
    ``weight``, ``phi0`` (post,) and, with feedback, ``feedback`` (post, post), from columns to rows.

    Parameters
    ----------
    pre, post
        Number of presynaptic channels and of neurons; not needed where there are ``synapses``.
    trial
        Length ``T`` of a trial, in units of time.
    synapses
        Which neurons the channels reach, `qif2hw.ir.Dense` or `qif2hw.ir.Sparse`; all to all by default.
    weight
        Initial weights, of shape ``synapses.weight_shape``: (post, pre), or (synapses,) in their order.  By default
        uniform in ``+-spread / sqrt(fan_in)``, with the number of synapses of each neuron.
    recurrent
        Whether the neurons' spikes come back to them, see `qif2hw.nn.functional.recurrent.layer`.  Such a layer stands
        alone: a `QIFNetwork` refuses it, because a network for compiling has no cycles.
    delay
        Time that a spike takes back to the population.
    neuron
        Parameters of the neurons.
    weight_bits
        Round each array of weights to the grid of `qif2hw.ir.weight_grid` in the forward pass; None leaves them free.
    spread
        See ``weight``.
    phases
        Initial phases start uniform in this range.
    generator
        Source of the random numbers.
    dtype
        float64 or float32, of parameters and spikes.  Listed synapses and feedback are computed in float64 and rounded.

    Raises
    ------
    InputError
        On sizes, synapses or weights that do not fit each other, and on impossible options.
    """

    def __init__(
        self,
        pre: int | None = None,
        post: int | None = None,
        *,
        trial: float,
        synapses: AnySynapses | None = None,
        weight: ArrayLike | None = None,
        recurrent: bool = False,
        delay: float = 0.0,
        neuron: QIF | None = None,
        weight_bits: int | None = None,
        spread: float = 0.9,
        phases: tuple[float, float] = (2.0, 5.0),
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.synapses = _synapses(pre, post, synapses)
        if dtype not in dense.RENORMALISE_AFTER:
            raise InputError(f"a layer of type {dtype}: float64 and float32 are possible")
        if not recurrent and delay != 0:
            raise InputError(f"delay = {delay:g}: only a recurrent layer has one")
        self.neuron, self.trial = neuron or QIF(), trial
        self.recurrent, self.delay = recurrent, delay
        self.weight_bits = weight_bits
        self.capacity = 2

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, dtype=torch.float64)

        post, pre = self.synapses.shape
        if weight is not None:
            values = torch.as_tensor(np.array(weight, dtype=np.float64))
            self.synapses.check(values.numpy(), "a layer")
        elif isinstance(self.synapses, Sparse):
            bound = spread / torch.from_numpy(self.synapses.fan_in[self.synapses.rows]).double().sqrt()
            values = bound * (2 * uniform(self.synapses.count) - 1)
        else:
            values = spread / pre**0.5 * (2 * uniform(post, pre) - 1)
        self.weight = nn.Parameter(values.to(dtype))
        if recurrent:
            self.feedback = nn.Parameter((0.5 / post**0.5 * (2 * uniform(post, post) - 1)).to(dtype))
        self.phi0 = nn.Parameter((phases[0] + (phases[1] - phases[0]) * uniform(post)).to(dtype))
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

    def on_grid(self, weight: Tensor) -> Tensor:
        """Weights, of any shape, as the neurons receive them: on the grid of `weight_bits`, if there is one."""
        if self._weight_bits is None:
            return weight
        rounded: Tensor = _Rounded.apply(weight, self._weight_bits)
        return rounded

    def effective_weight(self) -> Tensor:
        """``weight`` as the neurons receive it, see `on_grid`; same shape."""
        return self.on_grid(self.weight)

    def dense_weight(self) -> Tensor:
        """`effective_weight` as an array (post, pre), with zeros where there is no synapse."""
        weight = self.effective_weight()
        if not isinstance(self.synapses, Sparse):
            return weight
        rows, columns = (torch.from_numpy(v).to(weight.device) for v in self.synapses.edges()[:2])
        return weight.new_zeros(self.synapses.shape).index_put((rows, columns), weight)

    @torch.no_grad()
    def centre(self) -> None:
        """Shift each neuron's weights so that inputs of pseudo-phase 1/2 shear it, at the trial's end, to its middle.

        There ``theta' = pi / 2``, where the pseudospike moves most with its inputs; assumes no ordinary spikes.
        """
        theta = self.neuron.omega * (self.phi0 + self.trial)
        wanted = self.neuron.r * torch.cos(theta) / torch.sin(theta)
        if not isinstance(self.synapses, Sparse):
            self.weight.add_((2 * wanted / self.weight.shape[1] - self.weight.mean(dim=1)).unsqueeze(1))
            return
        rows, fan_in = torch.from_numpy(self.synapses.rows), torch.from_numpy(self.synapses.fan_in)
        total = torch.zeros_like(wanted).index_add(0, rows, self.weight)
        self.weight.add_(((2 * wanted - total) / fan_in)[rows])

    @torch.no_grad()
    def keep_inside(self) -> None:
        """Put the initial phases back into [0, Theta)."""
        top = np.nextafter(self.neuron.period, 0.0) if self.phi0.dtype == torch.float64 else None
        if top is None:
            top = float(np.nextafter(np.float32(self.neuron.period), np.float32(0.0)))
        self.phi0.clamp_(0.0, top)

    def check_parameters(self, name: str = "") -> None:
        """`InputError` that names a parameter which is not finite, or an initial phase outside [0, Theta).

        ``name`` is that of the layer, with a point at its end; on other devices than the CPU nothing is looked at.
        """
        for key, values in self.named_parameters():
            if not values.is_cpu:
                continue
            flat = values.detach().numpy().reshape(-1)
            # One pass without a copy: a product with itself is finite if all are, and are not huge.
            with np.errstate(over="ignore", invalid="ignore"):
                fine = math.isfinite(flat @ flat)
            if not fine and not np.isfinite(flat).all():
                raise InputError(f"parameter {name}{key} holds {flat[~np.isfinite(flat)][0]:g}: numbers are needed")
        if not self.phi0.is_cpu or not self.phi0.numel():
            return
        phases = self.phi0.detach().numpy()
        low, high = phases.min(), phases.max()
        if low < 0 or high >= self.neuron.period:
            raise InputError(
                f"parameter {name}phi0 holds {low if low < 0 else high:.9g}: initial phases lie in [0, Theta) = "
                f"[0, {self.neuron.period:.9g}); keep_inside() puts them there"
            )

    def forward(self, times: Tensor, psi: Tensor | None = None, *, path: Route | None = None) -> LayerOutput:
        """Spikes of the neurons.

        Parameters
        ----------
        times
            Input spike times (batch, pre, K), in units of time, padded with infinity.
        psi
            Pseudo-phases of presynaptic neurons (batch, pre); none for input channels.
        path
            How to compute it; by default the compiled kernel on the CPU, ``cuda`` on CUDA devices that numba compiles
            for, the scan on others.

        Raises
        ------
        InputError
            On inputs that do not fit the layer, parameters as of `check_parameters`, and a path that it does not have.
        """
        path = route(times, path)
        self.check_parameters()
        if path == "kernel":
            return self._compiled(times, psi)
        if self.recurrent:
            raise InputError(f"path '{path}': a recurrent layer has a compiled kernel on the CPU only")
        weight = self.dense_weight()
        if path == "cuda":
            out = dense_cuda.layer(
                times, psi, weight, self.phi0, neuron=self.neuron, trial=self.trial, capacity=self.capacity
            )
            self.capacity = out.times.shape[2]
            return out
        if psi is None:
            psi = times.new_zeros(times.shape[:2])
        if path == "eager":
            return eager.layer(times, psi, weight, self.phi0, neuron=self.neuron, trial=self.trial)
        return scan.layer(times, psi, weight, self.phi0, neuron=self.neuron, trial=self.trial)

    def _compiled(self, times: Tensor, psi: Tensor | None) -> LayerOutput:
        neuron, trial, capacity = self.neuron, self.trial, self.capacity
        if self.recurrent:
            out = recurrent.layer(
                times, psi, self.dense_weight(), self.on_grid(self.feedback), self.phi0, neuron=neuron, trial=trial,
                delay=self.delay, capacity=capacity,
            )  # fmt: skip
        elif isinstance(self.synapses, Sparse):
            out = sparse.layer(
                times, psi, self.effective_weight(), self.phi0, synapses=self.synapses, neuron=neuron, trial=trial,
                capacity=capacity,
            )  # fmt: skip
        else:
            return run_chain([self], times, psi).layers[0]
        self.capacity = out.times.shape[2]
        return out

    def get_extra_state(self) -> Tensor:
        """Part of a state that `set_extra_state` compares: trial, neuron and synapses, float64 (numbers,)."""
        kind = [self.trial, self.neuron.tau, self.neuron.i0, float(self.recurrent), self.delay]
        listed = (self.synapses.indptr, self.synapses.indices) if isinstance(self.synapses, Sparse) else ()
        return torch.from_numpy(np.concatenate([kind, *listed]))

    def set_extra_state(self, state: Tensor) -> None:
        """`InputError` unless ``state`` (numbers,) is of a layer that computes the same from the same parameters."""
        own, other = self.get_extra_state(), state.cpu()
        names = ("trial T", "tau", "I0", "recurrent", "delay")
        for name, here, there in zip(names, own.tolist(), other.tolist(), strict=False):
            if here != there:
                raise InputError(f"this state is of a layer with {name} = {there:g}, here {here:g}")
        if not torch.equal(own, other):
            raise InputError("this state is of a layer with other synapses")


def _synapses(pre: int | None, post: int | None, synapses: AnySynapses | None) -> AnySynapses:
    if synapses is None:
        if pre is None or post is None:
            raise InputError("a layer needs its sizes, pre and post, or synapses")
        if pre < 1 or post < 1:
            raise InputError(f"a layer of {post} neurons with {pre} inputs: at least one of each is needed")
        return Dense(post, pre)
    if any(given not in (None, size) for given, size in zip((post, pre), synapses.shape, strict=True)):
        raise InputError(f"a layer of {post} neurons with {pre} inputs: its synapses are for {synapses.shape}")
    return synapses


def route(times: Tensor, path: Route | None) -> Route:
    """How to compute what follows ``times``, of any shape: ``path``, by default that of their device.

    Raises
    ------
    InputError
        If there is no such path, and inside of torch's tracers.
    """
    refuse_tracers()
    if path is None:
        if times.is_cpu:
            return "kernel"
        return "cuda" if times.is_cuda and cuda_device.available() else "scan"
    if path not in ROUTES:
        raise InputError(f"path {path!r}: known are {', '.join(ROUTES)}")
    if path == "cuda" and not times.is_cuda:
        raise InputError("path 'cuda': tensors on a CUDA device, and numba-cuda, are needed")
    if path == "cuda" and cuda_device.problem():
        raise InputError(f"path 'cuda': {cuda_device.problem()}")
    return path


def can_chain(layers: Sequence[QIFLayer]) -> bool:
    """Whether `run_chain` can take them: all-to-all layers of equal neurons and trials."""
    first = layers[0]
    for layer in layers:
        if layer.recurrent or not isinstance(layer.synapses, Dense):
            return False
        if (layer.neuron is not first.neuron and layer.neuron != first.neuron) or layer.trial != first.trial:
            return False
    return True


def run_chain(
    layers: Sequence[QIFLayer], times: Tensor, psi: Tensor | None, *,
    encoder: tuple[Tensor, Tensor] | None = None, readout: tuple[Tensor, Tensor] | None = None,
    look: Callable[[], None] | None = None,
) -> ForwardPass:  # fmt: skip
    """Layers of equal neurons and trials one behind the other, in one compiled pass; arguments as of `dense.chain`."""
    run, rooms = dense.chain(
        times,
        psi,
        [(layer.effective_weight(), layer.phi0) for layer in layers],
        neuron=layers[0].neuron,
        trial=layers[0].trial,
        capacities=[layer.capacity for layer in layers],
        encoder=encoder,
        readout=readout,
        look=look,
    )
    for layer, room in zip(layers, rooms, strict=True):
        if layer.capacity != room:
            layer.capacity = room
    return run
