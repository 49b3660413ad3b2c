"""Modules of neurons in discrete time, for deep spiking networks in `torch.nn.Sequential` or any traceable module."""

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from qif2hw.discrete import Kind, Stepped, SteppedLIF, SteppedQIF, potential_moments
from qif2hw.discrete.maps import leaky_relaxation, quadratic_relaxation
from qif2hw.errors import InputError
from qif2hw.nn.functional.arguments import refuse_tracers
from qif2hw.nn.functional.discrete import discrete_steps

Window: TypeAlias = float | Literal["analytic"]
"""Half width of the surrogate derivative in units of the threshold, or derived from the neuron's parameters."""


def _as_node(module: nn.Module, x: Any) -> Any:
    """A call of the module as one node of a traced graph, whatever the tracer takes for a leaf."""
    return x.tracer.create_proxy("call_module", x.tracer.path_of_module(module), (x,), {})


class SteppedNeurons(nn.Module):
    """A population of neurons in discrete time, one for each element of a sample; base of `DiscreteQIF` and `LIF`.

    Parameters
    ----------
    neuron
        Parameters of all neurons; or give them one by one, as keywords.
    time_steps
        None: inputs and spikes are (T, N, ...).  A number ``T``: they are (T N, ...), step after step, as convolutions
        and batch normalisation take them.
    hold
        Inputs are (N, ...), constant over ``time_steps`` steps (direct encoding); spikes are (T N, ...).
    window
        Half width of the rectangular surrogate derivative of a spike, in units of the threshold; ``analytic``: the
        deviation of the potential under normalised input in each step, from `potential_moments`.
    detach_reset
        Leave the reset out of the gradient.
    learnable
        Names of the parameters that are trained: those of ``neuron``, as scalars for the whole population.

    Raises
    ------
    InputError
        If a parameter is invalid or unknown.

    Notes
    -----
    While the module trains, learned parameters that have become invalid are moved back towards the last valid ones
    before they are used; see `keep_inside`.  In evaluation mode they are refused.
    """

    family: ClassVar[type[Any]]

    def __init__(
        self,
        neuron: Stepped | None = None,
        *,
        time_steps: int | None = None,
        hold: bool = False,
        window: Window = 0.5,
        detach_reset: bool = False,
        learnable: Iterable[str] = (),
        **parameters: Any,
    ) -> None:
        super().__init__()
        names = [field.name for field in fields(self.family)]
        unknown = [name for name in parameters if name not in names]
        if unknown:
            raise InputError(f"{type(self).__name__}: no parameter {unknown[0]!r}; there are {', '.join(names)}")
        if neuron is not None and (parameters or not isinstance(neuron, self.family)):
            raise InputError(f"{type(self).__name__}: a {self.family.__name__}, or its parameters, is needed; not both")
        if time_steps is not None and time_steps < 1:
            raise InputError(f"time_steps = {time_steps}: at least one step is needed")
        if hold and time_steps is None:
            raise InputError("hold: the number of time_steps for which the input is held is needed")
        self._fixed: Stepped = self.family(**parameters) if neuron is None else neuron
        self.time_steps, self.hold, self.detach_reset = time_steps, hold, detach_reset
        self.window = window
        if window != "analytic" and not (isinstance(window, int | float) and window > 0):
            raise InputError(f"window = {window!r}: a positive number, or 'analytic', is needed")
        _check_threshold(self._fixed)
        for name in learnable:
            if name not in self.family.learnable or isinstance(getattr(self._fixed, name), complex):
                real = ", ".join(self.family.learnable)
                raise InputError(f"learnable: {name!r} cannot be learned; real parameters can: {real}")
            self.register_parameter(name, nn.Parameter(torch.tensor(float(getattr(self._fixed, name)))))

    @property
    def neuron(self) -> Stepped:
        """Parameters of the neurons as they are now."""
        if not self._parameters:
            return self._fixed
        return self._with({name: parameter.item() for name, parameter in self.named_parameters()})

    def _with(self, learned: dict[str, float]) -> Stepped:
        neuron: Stepped = replace(self._fixed, **learned)  # type: ignore[arg-type]
        _check_threshold(neuron)
        return neuron

    @torch.no_grad()
    def keep_inside(self) -> None:
        """Move learned parameters, if they are invalid, towards the last valid ones until they are valid."""
        learned = dict(self.named_parameters())
        wanted = {name: parameter.item() for name, parameter in learned.items()}
        for part in (1.0, *(0.5**n for n in range(1, 20)), 0.0):
            if part < 1:
                for name, parameter in learned.items():
                    last = getattr(self._fixed, name)
                    parameter.fill_(last + part * (wanted[name] - last))
            try:
                self._fixed = self.neuron
            except InputError:
                continue
            return

    def parameter_vector(self) -> Tensor:
        """The numbers of `qif2hw.kernels.discrete.PARAMETERS`, (9,), in float64; gradients reach the learned ones."""
        values = {
            name: _double(self._parameters.get(name, getattr(self._fixed, name))) for name in self.family.learnable
        }
        return torch.stack([*self._relaxation(values), values["gain"], values["threshold"], values["reset"]])

    def _relaxation(self, values: dict[str, Tensor]) -> Iterable[Tensor]:
        raise NotImplementedError

    def half_widths(self, steps: int) -> tuple[float, ...]:
        """Half widths of the surrogate derivative in each step."""
        neuron = self.neuron
        if self.window == "analytic":
            return tuple(deviation for _, deviation in potential_moments(neuron, steps))
        return (self.window * neuron.threshold,) * steps

    def forward(self, x: Tensor) -> Tensor:
        """Spikes 0 and 1, from the reset on: (T, N, ...), or (T N, ...) with ``time_steps``; see there for inputs."""
        if isinstance(x, Proxy):
            return _as_node(self, x)
        spikes, _ = self.run(x)
        return spikes

    def run(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spikes, and the states (N, ...) after the last step; ``state`` are those before the first.

        Raises
        ------
        InputError
            If the input's shape or type does not fit, or a state is not below the threshold.
        """
        refuse_tracers()
        if self._parameters and self.training:
            self.keep_inside()
        neuron = self.neuron
        per_step, steps = self._by_step(x)
        vector = self.parameter_vector() if self._parameters else _constants(neuron)
        if state is None:
            start = vector[-1].to(per_step) if self._parameters else per_step.new_full((), neuron.reset)
            state = start.expand(per_step.shape[1:])
        elif not bool((state < neuron.threshold).all()):
            raise InputError(f"neuron states: all must lie below the threshold {neuron.threshold:g}")
        spikes, state = discrete_steps(
            per_step, state, vector, steps=steps, window=self.half_widths(steps),
            detach_reset=self.detach_reset,
        )  # fmt: skip
        return spikes if self.time_steps is None else spikes.flatten(0, 1), state

    def _by_step(self, x: Tensor) -> tuple[Tensor, int]:
        """The input as (T, N, ...), or (1, N, ...) if it is held; and the number of steps."""
        steps = self.time_steps
        if self.hold and steps is not None:
            return x.unsqueeze(0), steps
        if (x.ndim < 2 and steps is None) or x.ndim < 1:
            raise InputError(f"neuron inputs {tuple(x.shape)}: (T, N, ...) is needed")
        if steps is None:
            return x, len(x)
        if len(x) % steps:
            raise InputError(f"neuron inputs {tuple(x.shape)}: {len(x)} rows are not {steps} steps of one batch")
        return x.unflatten(0, (steps, len(x) // steps)), steps

    def extra_repr(self) -> str:
        """Parameters, as in the constructor."""
        return f"{self.neuron}, time_steps={self.time_steps}, hold={self.hold}, window={self.window!r}"


def _double(value: Tensor | complex) -> Tensor:
    if isinstance(value, Tensor):
        return value.double()
    return torch.tensor(value, dtype=torch.complex128 if isinstance(value, complex) else torch.float64)


def _check_threshold(neuron: Stepped) -> None:
    if neuron.threshold <= 0:
        raise InputError(f"threshold = {neuron.threshold:g}: it must be positive, the window is relative to it")


def _constants(neuron: Stepped) -> Tensor:
    return torch.tensor([*neuron.relaxation, neuron.gain, neuron.threshold, neuron.reset], dtype=torch.float64)


class DiscreteQIF(SteppedNeurons):
    """QIF neurons in discrete time: ``DiscreteQIF(a=0.25, u1=0, u2=0.5)``; see `SteppedQIF` and `SteppedNeurons`."""

    family = SteppedQIF

    @classmethod
    def from_spikingjelly(
        cls, tau: float = 2.0, v_c: float = 0.8, a0: float = 1.0, v_threshold: float = 1.0, v_rest: float = 0.0,
        v_reset: float = -0.1, kind: Kind = "euler", **options: Any,
    ) -> "DiscreteQIF":  # fmt: skip
        """The neuron of spikingjelly's ``QIFNode`` with its names and defaults; ``options`` of `SteppedNeurons`."""
        return cls(SteppedQIF.from_spikingjelly(tau, v_c, a0, v_threshold, v_rest, v_reset, kind), **options)

    def _relaxation(self, values: dict[str, Tensor]) -> Iterable[Tensor]:
        assert isinstance(self._fixed, SteppedQIF)
        return quadratic_relaxation(self._fixed.kind, values["a"], values["u1"], values["u2"], torch)


class LIF(SteppedNeurons):
    """LIF neurons in discrete time: ``LIF(leak=0.5)``; see `SteppedLIF` and `SteppedNeurons`."""

    family = SteppedLIF

    @classmethod
    def from_spikingjelly(
        cls, tau: float = 2.0, decay_input: bool = True, v_threshold: float = 1.0, v_reset: float = 0.0, **options: Any
    ) -> "LIF":
        """The neuron of spikingjelly's ``LIFNode`` with its names and defaults; ``options`` of `SteppedNeurons`."""
        return cls(SteppedLIF.from_spikingjelly(tau, decay_input, v_threshold, v_reset), **options)

    def _relaxation(self, values: dict[str, Tensor]) -> Iterable[Tensor]:
        return leaky_relaxation(values["leak"], values["rest"])


class Accumulate(nn.Module):
    """Readout of a classifier: mean over time steps of (T N, classes); of (T, N, classes) without ``time_steps``.

    Parameters
    ----------
    time_steps
        Number of steps ``T``.
    """

    def __init__(self, time_steps: int | None = None) -> None:
        super().__init__()
        if time_steps is not None and time_steps < 1:
            raise InputError(f"time_steps = {time_steps}: at least one step is needed")
        self.time_steps = time_steps

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, classes); `InputError` if the rows are not whole batches."""
        if isinstance(x, Proxy):
            return _as_node(self, x)
        if self.time_steps is None:
            return x.mean(dim=0)
        if len(x) % self.time_steps:
            raise InputError(f"scores {tuple(x.shape)}: {len(x)} rows are not {self.time_steps} steps of one batch")
        return x.unflatten(0, (self.time_steps, len(x) // self.time_steps)).mean(dim=0)

    def extra_repr(self) -> str:
        """Parameters, as in the constructor."""
        return f"time_steps={self.time_steps}"


class Frames(nn.Module):
    """Frames of event data as convolutions take them: (N, T, C, H, W) becomes (T N, C, H, W), step after step."""

    def forward(self, x: Tensor) -> Tensor:
        """Frames (T N, ...) of ``x`` (N, T, ...); `InputError` on fewer axes."""
        if isinstance(x, Proxy):
            return _as_node(self, x)
        if x.ndim < 3:
            raise InputError(f"frames {tuple(x.shape)}: (N, T, ...) is needed")
        return x.transpose(0, 1).flatten(0, 1)


class Standardize(nn.Module):
    """Inputs (N, C, ...) minus a mean and divided by a deviation, each one number or one per channel.

    Parameters
    ----------
    mean, deviation
        Of the data; the deviation is positive.
    """

    def __init__(self, mean: Iterable[float] | float, deviation: Iterable[float] | float) -> None:
        super().__init__()
        for name, value in ("mean", mean), ("deviation", deviation):
            values = [value] if isinstance(value, int | float) else list(value)
            self.register_buffer(name, torch.tensor(values, dtype=torch.get_default_dtype()))
        if not bool((self.deviation > 0).all()) or not bool(self.mean.isfinite().all()):
            raise InputError(f"standardization: mean {mean}, deviation {deviation}: it must be finite and positive")

    def forward(self, x: Tensor) -> Tensor:
        """Standardized inputs, of the same shape, of the mean's type."""
        if isinstance(x, Proxy):
            return _as_node(self, x)
        shape = (-1,) + (1,) * (x.ndim - 2)
        standard: Tensor = (x.to(self.mean) - self.mean.view(shape)) / self.deviation.view(shape)
        return standard

    def extra_repr(self) -> str:
        """Parameters, as in the constructor."""
        return f"mean={self.mean.tolist()}, deviation={self.deviation.tolist()}"
