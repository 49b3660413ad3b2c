"""Neurons in discrete time as torch functions: the compiled one, and its plain twin with the same order of operations.

The twin serves devices for which nothing is compiled, parameters that are learned on a CUDA device, and is the oracle
of the compiled ones.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qif2hw.discrete import maps
from qif2hw.errors import InputError
from qif2hw.kernels import discrete as kernels
from qif2hw.nn.functional import compiled, cuda_device, discrete_cuda
from qif2hw.nn.functional.compiled import array
from qif2hw.nn.functional.discrete_cuda import constants
from qif2hw.nn.functional.first_order import SURROGATE, first_order

WORTH_THREADS = 100_000
"""Updates (neurons times steps) of a pass from which on threads pay."""

TYPES = (torch.float32, torch.float64)


class _Steps(compiled.Kernel):
    """Spikes of all steps, and the states after the last."""

    second_derivatives = SURROGATE

    def __init__(
        self, steps: int, window: Sequence[float], detach_reset: bool, learned: bool, keep: bool,
        x: Tensor, state: Tensor, parameters: Tensor, origin: Tensor,
    ) -> None:  # fmt: skip
        self.shape, self.start = x.shape, array(state).reshape(-1)
        self.given = array(x).reshape(len(x), self.start.size)
        self.numbers = _numbers(parameters, self.given.dtype)
        self.steps, self.window, self.learned, self.keep = steps, np.asarray(window), learned, keep
        threshold, reset = self.numbers[-2:]
        self.jump = self.numbers[0] * 0 if detach_reset else threshold - reset

    def forward(self, rooms: tuple[int, ...]) -> tuple[int, ...]:
        size, dtype = self.start.size, self.start.dtype
        self.u, self.s = self.start.copy(), np.empty((self.steps, size), dtype)
        self.v = np.empty((self.steps if self.keep else 1, size), dtype)
        self.parallel = self.s.size > WORTH_THREADS
        run = kernels.forward_parallel if self.parallel else kernels.forward
        run(self.given, self.u, self.v, self.s, self.numbers)
        return ()

    def read_again(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        # Inputs for the gradients of the parameters alone.
        return tensors if self.learned else tensors[1:]

    def results(self) -> tuple[Tensor, Tensor]:
        spikes, state = torch.from_numpy(self.s), torch.from_numpy(self.u)
        if not self.learned:
            self.given = np.empty((len(self.given), 0), self.given.dtype)
        del self.s, self.u
        return spikes.view(self.steps, *self.shape[1:]), state.view(self.shape[1:])

    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        v, dtype = self.v, self.v.dtype
        gx = np.empty((len(self.given), self.start.size), dtype)
        g, gu = array(grads[0]).reshape(v.shape), array(grads[1]).reshape(-1).copy()
        sums = np.zeros((kernels.blocks(self.start.size) if self.learned else 0, len(kernels.PARAMETERS)))
        (kernels.backward_parallel if self.parallel else kernels.backward)(
            v, self.start, g, gu, self.given if self.learned else gx, self.window.astype(dtype),
            (0.5 / self.window).astype(dtype), self.jump, self.numbers, gx, sums,
        )  # fmt: skip
        to_parameters = torch.from_numpy(sums.sum(axis=0)) if self.learned else None
        return torch.from_numpy(gx).view(self.shape), torch.from_numpy(gu).view(self.shape[1:]), to_parameters, None


def _steps(
    x: Tensor, state: Tensor, parameters: Tensor, steps: int, window: Sequence[float], detach_reset: bool, keep: bool
) -> tuple[Tensor, Tensor]:
    make = partial(_Steps, steps, window, detach_reset, keep and parameters.requires_grad, keep)
    # An empty part in place of the inputs themselves, which need not be kept.
    spikes, last = compiled.run(make, (), x, state, parameters, x[:0].clone())
    return spikes, last


class _Fire(torch.autograd.Function):
    """Spikes and states of one step from its potentials; the derivative of a spike is a rectangle."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, threshold: Tensor, reset: Tensor, half: Tensor, detach_reset: bool
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(v, threshold, reset, half)
        ctx.detach_reset = detach_reset
        fired = v >= threshold
        return torch.where(fired, torch.ones_like(v), v - v), torch.where(fired, reset, v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g, gu), (v, threshold, reset, half) = grads, ctx.saved_tensors
        fired, nothing = v >= threshold, torch.zeros_like(v)
        jump = torch.zeros_like(threshold) if ctx.detach_reset else threshold - reset
        surrogate = torch.where((v - threshold).abs() < half, 0.5 / half, nothing)
        at_threshold = (g - gu * jump) * surrogate
        gv = at_threshold + torch.where(fired, nothing, gu)
        found = gv, -at_threshold.sum(), torch.where(fired, gu, nothing).sum()
        return *first_order(found, ctx.saved_tensors, SURROGATE), None, None


def _numbers(parameters: Tensor, dtype: Any) -> tuple[Any, ...]:
    return tuple(parameters.detach().double().cpu().numpy().astype(dtype))


def eager_steps(
    x: Tensor, state: Tensor, parameters: Tensor, *, steps: int, window: Sequence[float], detach_reset: bool = False
) -> tuple[Tensor, Tensor]:
    """`discrete_steps` in torch operations, on any device; arguments and results are those of `discrete_steps`."""
    learned = parameters.requires_grad and torch.is_grad_enabled()
    numbers = parameters.to(x) if learned else constants(tuple(parameters.tolist()), x.dtype, x.device)
    centre, *coefficients, gain, threshold, reset = numbers.unbind()
    halves = constants(tuple(window), x.dtype, x.device)
    spikes = []
    for t in range(steps):
        v = maps.potential(maps.relax(state - centre, *coefficients), x[t % len(x)], centre, gain)
        fired, state = _Fire.apply(v, threshold, reset, halves[t], detach_reset)
        spikes.append(fired)
    return torch.stack(spikes), state


def discrete_steps(
    x: Tensor, state: Tensor, parameters: Tensor, *, steps: int, window: Sequence[float], detach_reset: bool = False
) -> tuple[Tensor, Tensor]:
    r"""A population of neurons in discrete time, over all steps.

    Forward: see `qif2hw.discrete.maps`.  Backward, with the gradients ``g`` of a spike and ``gu`` of the state after
    it, and the window ``h(v) = [|v - threshold| < half] / (2 half)``:

    .. math:: g_v = (g - g_u (\theta - u_\mathrm{reset}))\, h(v) + [v < \theta]\, g_u

    Parameters
    ----------
    x
        Inputs (steps, N, ...), or (1, N, ...): held for all steps; float32 or float64.
    state
        States before the first step (N, ...), below the threshold.
    parameters
        The nine numbers of `qif2hw.kernels.discrete.PARAMETERS`; gradients reach them.
    steps
        Number of steps.
    window
        Half width of the surrogate derivative in each step, positive.
    detach_reset
        Leave out the term of the reset, ``g_u (threshold - reset)``.

    Returns
    -------
    Tensor, Tensor
        Spikes (steps, N, ...), 0 or 1 (not a number where the potential is none), and the states after the last step.

    Raises
    ------
    InputError
        If shapes, types or devices do not fit each other, or a second derivative is asked for.
    """
    _check(x, state, parameters, steps, window)
    learned = parameters.requires_grad and torch.is_grad_enabled()
    if not x.is_cpu and (learned or not x.is_cuda or not cuda_device.available()):
        return eager_steps(x, state, parameters, steps=steps, window=window, detach_reset=detach_reset)
    keep = torch.is_grad_enabled() and (x.requires_grad or state.requires_grad or parameters.requires_grad)
    function = _steps if x.is_cpu else discrete_cuda.steps_on_cuda
    result: tuple[Tensor, Tensor] = function(x, state, parameters, steps, window, detach_reset, keep)
    return result


def _check(x: Tensor, state: Tensor, parameters: Tensor, steps: int, window: Sequence[float]) -> None:
    if x.dtype not in TYPES:
        raise InputError(f"neuron inputs are {x.dtype}: float32 or float64 is needed; convert with .float()")
    if steps < 1 or x.ndim < 1 or len(x) not in (1, steps):
        raise InputError(f"neuron inputs {tuple(x.shape)} and {steps} steps: (T, N, ...) with T >= 1 is needed")
    if state.shape != x.shape[1:] or state.dtype != x.dtype or state.device != x.device:
        raise InputError(
            f"neuron states {tuple(state.shape)}, {state.dtype}, {state.device} do not fit inputs {tuple(x.shape)}, "
            f"{x.dtype}, {x.device}: one state for each neuron and sample, of the same type, is needed"
        )
    if parameters.shape != (len(kernels.PARAMETERS),):
        raise InputError(f"neuron parameters {tuple(parameters.shape)}: ({len(kernels.PARAMETERS)},) is needed")
    if len(window) != steps or not min(window) > 0:
        raise InputError(f"window {tuple(window)}: a positive half width for each of the {steps} steps is needed")
