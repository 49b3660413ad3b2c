"""Neurons in discrete time as torch functions: the compiled one, and its plain twin with the same order of operations.

The twin serves devices for which nothing is compiled, parameters that are learned on a CUDA device, and is the oracle
of the compiled ones.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qif2hw.discrete import maps
from qif2hw.errors import InputError
from qif2hw.kernels import discrete as kernels
from qif2hw.nn.functional import discrete_cuda
from qif2hw.nn.functional.discrete_cuda import constants

WORTH_THREADS = 100_000
"""Updates (neurons times steps) of a pass from which on threads pay."""

TYPES = (torch.float32, torch.float64)


class _Steps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, state: Tensor, parameters: Tensor, steps: int, window: Sequence[float], detach_reset: bool,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        given = x.contiguous().numpy().reshape(len(x), state.numel())
        start = state.contiguous().numpy().reshape(-1)
        u, numbers = start.copy(), _numbers(parameters, given.dtype)
        v = np.empty((steps if keep else 1, u.size), u.dtype)
        s = np.empty((steps, u.size), u.dtype)
        parallel = s.size > WORTH_THREADS
        (kernels.forward_parallel if parallel else kernels.forward)(given, u, v, s, numbers)
        if keep:
            # The inputs are read again for the gradients of the parameters alone.
            ctx.save_for_backward(state, parameters, *([x] if ctx.needs_input_grad[2] else []))
            ctx.saved = v, numbers, parallel
            ctx.window, ctx.detach_reset, ctx.shape = window, detach_reset, x.shape
        return torch.from_numpy(s).view(steps, *x.shape[1:]), torch.from_numpy(u).view(x.shape[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivatives()
        v, numbers, parallel = ctx.saved
        state, parameters, *inputs = ctx.saved_tensors
        learned = bool(inputs)
        start = state.contiguous().numpy().reshape(-1)
        gx = np.empty((ctx.shape[0], start.size), v.dtype)
        given = inputs[0].contiguous().numpy().reshape(gx.shape) if learned else gx
        g = grads[0].contiguous().numpy().reshape(v.shape)
        gu = grads[1].contiguous().numpy().reshape(-1).copy()
        sums = np.zeros((kernels.blocks(start.size) if learned else 0, len(kernels.PARAMETERS)))
        window = np.asarray(ctx.window)
        threshold, reset = numbers[-2:]
        (kernels.backward_parallel if parallel else kernels.backward)(
            v, start, g, gu, given, window.astype(v.dtype), (0.5 / window).astype(v.dtype),
            numbers[0] * 0 if ctx.detach_reset else threshold - reset, numbers, gx, sums,
        )  # fmt: skip
        to_parameters = torch.from_numpy(sums.sum(axis=0)).to(parameters) if learned else None
        return (
            torch.from_numpy(gx).view(ctx.shape),
            torch.from_numpy(gu).view(ctx.shape[1:]),
            to_parameters,
            *[None] * 4,
        )


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
        _refuse_second_derivatives()
        (g, gu), (v, threshold, reset, half) = grads, ctx.saved_tensors
        fired, nothing = v >= threshold, torch.zeros_like(v)
        jump = torch.zeros_like(threshold) if ctx.detach_reset else threshold - reset
        surrogate = torch.where((v - threshold).abs() < half, 0.5 / half, nothing)
        at_threshold = (g - gu * jump) * surrogate
        gv = at_threshold + torch.where(fired, nothing, gu)
        return gv, -at_threshold.sum(), torch.where(fired, gu, nothing).sum(), None, None


def _refuse_second_derivatives() -> None:
    if torch.is_grad_enabled():
        raise InputError("a surrogate gradient has no derivative: do without create_graph=True")


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
    if not x.is_cpu and (learned or not x.is_cuda or not discrete_cuda.available()):
        return eager_steps(x, state, parameters, steps=steps, window=window, detach_reset=detach_reset)
    keep = torch.is_grad_enabled() and (x.requires_grad or state.requires_grad or parameters.requires_grad)
    function = _Steps.apply if x.is_cpu else discrete_cuda.steps_on_cuda
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
