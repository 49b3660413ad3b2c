"""The QIF neuron in steps as a neuron of SLAYER, on the integers of the machine."""

from typing import Any

import numpy as np
import torch
from lava.lib.dl.slayer.neuron.base import Neuron
from lava.lib.dl.slayer.neuron.norm import MeanOnlyBatchNorm
from torch import Tensor
from torch.autograd.function import once_differentiable

from qif2hw import nn
from qif2hw.compiler.stepped.arithmetic import arithmetic_of
from qif2hw.discrete import Kind, SteppedQIF
from qif2hw.engine.stepped.potentials import potentials
from qif2hw.errors import InputError
from qif2hw.ir.stepped_program import EulerStep, PlaneStep
from qif2hw.kernels import discrete as kernels
from qif2hw.nn.discrete import Window
from qif2hw_slayer.importer.neurons import STEPS

STATE_EXP = 6
"""A sum of weights is shifted left by this many bits to become a state, as in lava-dl's other neurons."""
LARGEST = 1 << 30
"""Larger inputs, in units of the state, saturate; deployed sums of weights stay below 24 bits."""


class _Steps(torch.autograd.Function):
    """Forward on integers; backward the surrogate gradient of the float neuron at the integer potentials."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, neuron: "DiscreteQIF") -> tuple[Tensor, Tensor]:
        if not x.is_cpu:
            raise InputError(f"inputs of DiscreteQIF are on {x.device}: its integers run on the CPU; use .cpu()")
        given = x.detach().numpy().reshape(-1, x.shape[-1]).T
        current = np.rint(given * neuron.s_scale).clip(-LARGEST, LARGEST).astype(np.int32, order="C")
        fired, counts = potentials(neuron.arithmetic, current)
        numbers = neuron.equation.parameter_vector().numpy().astype(given.dtype)
        threshold = numbers[-2]
        v = counts.astype(given.dtype) / neuron.s_scale + given.dtype.type(neuron.constants.rest)
        # The machine's rounded threshold decides; the kernel below compares with the real one.
        v = np.where(
            fired, np.maximum(v, threshold), np.minimum(v, np.nextafter(threshold, -threshold.dtype.type(np.inf)))
        )
        ctx.saved = np.ascontiguousarray(v, given.dtype), numbers, neuron.equation
        potential = torch.from_numpy(v.T.copy()).view(x.shape)
        ctx.mark_non_differentiable(potential)
        return torch.from_numpy(fired.T.astype(given.dtype, order="C")).view(x.shape), potential

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        v, numbers, equation = ctx.saved
        steps, neurons = v.shape
        threshold, reset = numbers[-2:]
        g = grads[0].numpy().reshape(neurons, steps).T.copy()
        window = np.asarray(equation.half_widths(steps))
        gx = np.empty_like(v)
        kernels.backward(
            v, np.full(neurons, reset), g, np.zeros_like(v[0]), gx, window.astype(v.dtype),
            (0.5 / window).astype(v.dtype), numbers[0] * 0 if equation.detach_reset else threshold - reset, numbers,
            gx, np.zeros((0, len(kernels.PARAMETERS))),
        )  # fmt: skip
        return torch.from_numpy(gx.T.copy()).view(grads[0].shape), None


class DiscreteQIF(Neuron):
    r"""A QIF neuron in discrete time for SLAYER's blocks.

    .. math::
        v_t = f(u_{t-1}) + x_t, \qquad s_t = [v_t \ge \theta], \qquad u_t = s_t\, u_\mathrm{reset} + (1 - s_t)\, v_t

    with ``f`` as in `qif2hw.discrete`, computed forward on the integers of `qif2hw.engine.stepped.spec`: weights count
    in ``2 / scale``, states in ``1 / (64 scale)``.  What is trained is thus what runs.  Inputs of a deployed layer are
    whole numbers (spikes); with others the forward pass rounds their weighted sums to a unit of the state.

    Parameters
    ----------
    threshold
        Spike if ``v >= threshold``; cut to a multiple of ``1 / scale``.
    a, u1, u2, reset, kind
        As of `qif2hw.discrete.SteppedQIF`, which checks them; ``u1`` and ``u2`` are real.
    window, detach_reset
        Surrogate gradient, as of `qif2hw.nn.DiscreteQIF`.
    scale
        Weight counts of 1.0.
    norm
        None, or lava-dl's ``slayer.neuron.norm.MeanOnlyBatchNorm``, whose mean becomes the layer's bias.
    dropout
        Applied to the spikes, as by SLAYER's neurons.

    Raises
    ------
    InputError
        If a parameter is invalid or the normalization is another, which HDF5 files cannot hold.
    """

    shape: Any

    def __init__(
        self,
        threshold: float = 1.0,
        a: float = 0.25,
        u1: float = 0.0,
        u2: float = 0.5,
        reset: float = 0.0,
        kind: Kind = "exact",
        window: Window = 0.5,
        detach_reset: bool = False,
        scale: int = 1 << 6,
        norm: Any = None,
        dropout: Any = None,
    ) -> None:
        super().__init__(
            threshold, w_scale=scale, s_scale=scale << STATE_EXP, norm=norm, dropout=dropout, requires_grad=False
        )
        if not (self.norm is None or isinstance(self.norm, MeanOnlyBatchNorm)):
            raise InputError(f"norm = {type(self.norm).__name__}: MeanOnlyBatchNorm alone can be written as a bias")
        neuron = SteppedQIF(a, u1, u2, self.threshold, reset, kind=kind)
        self.constants = neuron
        self.equation = nn.DiscreteQIF(neuron, window=window, detach_reset=detach_reset)
        arithmetic = arithmetic_of(neuron, np.array([1 / self.s_scale]))
        assert isinstance(arithmetic, PlaneStep | EulerStep)
        self.arithmetic = arithmetic
        self.graded_spike = False
        self.voltage: Tensor | None = None

    @property
    def device_params(self) -> dict[str, Any]:
        """What `export_hdf5` of a block writes into the group ``neuron``."""
        neuron, own = self.constants, self.arithmetic
        return {
            "type": "QIF",
            "kind": neuron.kind,
            **{name: float(np.real(getattr(neuron, name))) for name in ("a", "u1", "u2", "threshold", "reset")},
            "scale": self.w_scale,
            "stateExp": STATE_EXP,
            "vThMant": self.v_th_mant,
            "refDelay": 1,
            "gradedSpike": self.graded_spike,
            **{key: np.asarray(getattr(own, field)).item() for key, field in STEPS[neuron.kind].items()},
        }

    def forward(self, x: Tensor) -> Tensor:
        """Spikes 0 and 1 of weighted sums (N, ..., T); ``voltage`` keeps the potentials before resets."""
        if self.shape is None:
            self.shape = x.shape[1:-1]
            self.num_neurons = int(np.prod(self.shape))
        elif x.shape[1:-1] != self.shape:
            raise InputError(f"inputs {tuple(x.shape)}: the neurons have shape {tuple(self.shape)}, between N and T")
        if self.norm is not None:
            x = self.norm(x)
        spikes: Tensor
        spikes, self.voltage = _Steps.apply(x, self)
        return spikes if self.drop is None else self.drop(spikes)
