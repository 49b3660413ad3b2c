"""Layers of QIF neurons one behind the other as a torch function: one compiled pass through all of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.kernels import dense_chain as kernels
from qif2hw.kernels.buffers import PARAMETERS, SIZE, Chain, Gradients, Layout, layout
from qif2hw.neuron import QIF
from qif2hw.nn.functional import compiled
from qif2hw.nn.functional.arguments import check
from qif2hw.nn.functional.output import ForwardPass, LayerOutput
from qif2hw.simd import aligned

RENORMALISE_AFTER = {torch.float64: 100.0, torch.float32: 16.0}
"""Growth of a vector, in bits, after which its length is renormalised."""

_NONE = (None, None)


class ChainPass(compiled.Kernel):
    """A pass through the layers of a `chain`."""

    zeros_for_none = False

    def __init__(
        self, neuron: QIF, trial: float, limit: float, encoder: tuple[Tensor, Tensor] | None,
        readout: tuple[Tensor, Tensor] | None, look: Callable[[], None] | None, times: Tensor, psi: Tensor | None,
        *parameters: Tensor,
    ) -> None:  # fmt: skip
        self.look = look
        self.constants = neuron.r, neuron.omega, trial, limit
        self.encoder, self.shape = encoder, times.shape
        batch, pre, depth = times.shape if encoder is None else (*times.shape, 1)
        self.depth, self.sizes = depth, (pre, *(phi0.shape[0] for phi0 in parameters[1::2]))
        given = times.contiguous()
        spikes = given.numpy().reshape(batch, pre * depth)
        self.spikes = spikes if encoder is None else np.empty_like(spikes)
        self.psi = np.zeros((batch, pre), spikes.dtype) if psi is None else psi.contiguous().numpy()
        # The kernels know the addresses alone of these: they must live as long as this object.
        self.live = [
            None if t is None else t.contiguous() for t in (*(readout or _NONE), *parameters, *(encoder or _NONE))
        ]
        self.addresses = np.array([0 if t is None else t.data_ptr() for t in self.live]).reshape(-1, 2)
        self.given, self.values = given, 0 if encoder is None else given.data_ptr()
        self.outputs = 0 if readout is None else len(readout[0])

    def forward(self, rooms: tuple[int, ...]) -> list[int]:
        """Allocate buffers and run, see `compiled.Kernel`."""
        spikes, (r, omega, trial, limit) = self.spikes, self.constants
        batch, dtype, levels = len(spikes), spikes.dtype, len(self.sizes)
        self.plan = plan = layout(batch, self.sizes, (self.depth, *rooms), trial * omega, dtype)
        self.divide(batch, plan.cells, plan.work)
        _, _, _, _, spots, ends, steps, a, growth, start, _ = plan.totals
        self.chain = chain = Chain(
            spikes, self.psi, self.values, plan.table, spots, ends, steps, self.addresses,
            np.empty((batch, self.outputs), dtype), np.empty((batch, self.sizes[-1] if self.outputs else 0), dtype),
            aligned(a, spikes), np.empty(growth), np.empty(start, dtype),
            np.empty(spots + 2 * ends - spikes.size - 2 * self.psi.size, dtype), np.empty(4 * spots + ends, np.int32),
            np.empty(spots + ends, dtype), np.empty(2 * steps, dtype), np.empty(2 * steps, np.int32),
            np.empty((2, levels, batch), np.int32),
            r, omega, trial, limit,
        )  # fmt: skip
        largest = np.empty(levels, np.int64)
        (kernels.forward_parallel if self.parallel else kernels.forward)(chain, self.chunks, largest)
        odd, *needed = largest.tolist()
        if odd and self.look is not None:
            self.look()
        return needed

    def results(self) -> tuple[Any, ...]:
        """Outputs, first spikes, all other results in one array, and its layout."""
        chain = self.chain
        return torch.from_numpy(chain.y), torch.from_numpy(chain.first), torch.from_numpy(chain.out), self.plan

    def backward(self, needed: Sequence[bool], *grads: Any) -> tuple[Tensor | None, ...]:
        """Gradients to input times, pseudo-phases (samples, inputs) and parameters; see `compiled.Kernel`."""
        plan, to = self.plan, self.gradients(needed, *grads[:3])
        run, threads = (kernels.backward_parallel, numba.get_num_threads()) if self.parallel else (kernels.backward, 1)
        run(self.chain, self.chunks, threads, to)
        gradients: list[Tensor | None] = [None, None]
        if needed[0]:
            by_time = torch.from_numpy(to.times.reshape(self.shape))
            if self.encoder is not None:
                earliest, latest = self.encoder
                by_time = -by_time * (latest - earliest)
            gradients[0] = by_time
        if needed[1]:
            gradients[1] = torch.from_numpy(to.psi)
        pre = self.sizes[0]
        for row in plan.rows[1:]:
            post, weights = row[SIZE], row[PARAMETERS]
            phases = weights + post * pre
            gradients.append(torch.from_numpy(to.parameters[weights:phases].reshape(post, pre)))
            gradients.append(torch.from_numpy(to.parameters[phases : phases + post]))
            pre = post
        return tuple(gradients)

    def gradients(self, needed: Sequence[bool], *given: Tensor | None) -> Gradients:
        """Room for gradients to all arguments, and the addresses of those ``given`` to the first three results."""
        chain = self.chain
        # The kernel knows the addresses alone: the tensors must live as long as this object.
        self.received = [None if g is None else g.contiguous() for g in given]
        return Gradients(
            np.empty_like(chain.times if needed[0] else chain.times[:, :0]),
            np.empty_like(chain.psi if needed[1] else chain.psi[:, :0]),
            np.array([0 if g is None else g.data_ptr() for g in self.received]),
            np.empty(self.plan.totals[-1], chain.out.dtype),
        )  # fmt: skip


def _check_links(layers: Sequence[tuple[Tensor, Tensor]]) -> None:
    dtype, size = layers[0][1].dtype, layers[0][1].shape[0]
    for weight, phi0 in layers:
        if not (weight.is_cpu and phi0.is_cpu):
            raise InputError("layers: weights and phi0 must be on the CPU, as the spike times are")
    for weight, phi0 in layers[1:]:
        if weight.ndim != 2 or weight.shape[1] != size or phi0.shape != weight.shape[:1]:
            raise InputError(
                f"layers: weight {tuple(weight.shape)} and phi0 {tuple(phi0.shape)} do not fit each other "
                f"or the {size} neurons before them"
            )
        if not dtype == weight.dtype == phi0.dtype:
            raise InputError("layers: weights and phi0 of all layers need one type, float64 or float32")
        size = phi0.shape[0]


def _check_pair(name: str, pair: tuple[Tensor, Tensor] | None, size: int, dtype: torch.dtype) -> None:
    if pair is None:
        return
    first, second = pair
    one_type = first.dtype == second.dtype == dtype and first.is_cpu and second.is_cpu
    if not one_type or not first.shape == second.shape == (size,):
        raise InputError(f"{name}: two tensors of shape ({size},) and the type of the layers are needed, on the CPU")


def chain(
    times: Tensor, psi: Tensor | None, layers: Sequence[tuple[Tensor, Tensor]], *, neuron: QIF, trial: float,
    capacities: Sequence[int], encoder: tuple[Tensor, Tensor] | None = None,
    readout: tuple[Tensor, Tensor] | None = None, renormalise_after: float | None = None,
    look: Callable[[], None] | None = None,
) -> tuple[ForwardPass, tuple[int, ...]]:  # fmt: skip
    """Layers of QIF neurons one behind the other, with the closed-form gradient, on the CPU.

    Parameters
    ----------
    times
        Input spike times (batch, pre, K), in units of time, padded with infinity; those after ``trial`` are ignored.
    psi
        Pseudo-phases of the presynaptic neurons (batch, pre); None for input channels, which have none.
    layers
        Weights (post, pre) and initial phases (post,) of each.  Several projections onto one population: concatenate
        the sources.
    neuron, trial
        Parameters of the neurons and the trial's length.
    capacities
        Spikes per neuron to make room for in each layer; doubled until every spike fits.
    encoder
        ``earliest`` and ``latest`` (pre,): ``times`` are then inputs x (batch, pre), which `qif2hw.neuron.latency`
        encodes.  They get no gradients, x does.
    readout
        Scale and offset (outputs,) of `qif2hw.neuron.difference` of first spikes, see `ForwardPass`; they get no
        gradients.
    renormalise_after
        Growth in bits after which lengths are renormalised; the default suits the element type.
    look
        Called where weights are not finite, phases not in [0, Theta), or inputs to encode not in [0, 1]: raises an
        error that says which.  It may be called where all is well, too.

    Returns
    -------
    ForwardPass, tuple of int
        The pass, and the spikes per neuron that there was room for in each layer.

    Raises
    ------
    InputError
        On arguments that do not fit each other, and on input times that are negative or not numbers.
    """
    check(times, psi, *layers[0], trial, encoded=encoder is not None)
    _check_links(layers)
    _check_pair("encoder", encoder, times.shape[1], times.dtype)
    _check_pair("readout", readout, layers[-1][1].shape[0] // 2, times.dtype)
    if renormalise_after is None:
        renormalise_after = RENORMALISE_AFTER[times.dtype]
    rooms = tuple(max(1, capacity) for capacity in capacities)
    parameters = [tensor for pair in layers for tensor in pair]
    make = partial(ChainPass, neuron, float(trial), renormalise_after, encoder, readout, look)
    y, first, out, plan = compiled.run(make, rooms, times, psi, *parameters)
    return ForwardPass(y, first, partial(_levels, out, plan, len(times))), plan.depths[1:]


def _levels(out: Tensor, plan: Layout, batch: int) -> list[LayerOutput]:
    """The levels behind the inputs, as parts of the flat array of all."""
    sizes, depths = [row[SIZE] for row in plan.rows[1:]], plan.depths[1:]
    counts = [batch * size for size in sizes]
    parts = out.split([*(n * depth for n, depth in zip(counts, depths, strict=True)), *counts, *counts])
    times, psi, later = (parts[k : k + len(sizes)] for k in range(0, len(parts), len(sizes)))
    return [
        LayerOutput(t.view(batch, size, depth), p.view(batch, size), n.view(batch, size))
        for size, depth, t, p, n in zip(sizes, depths, times, psi, later, strict=True)
    ]


def layer(
    times: Tensor, psi: Tensor | None, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float, capacity: int = 2,
    renormalise_after: float | None = None,
) -> LayerOutput:  # fmt: skip
    """One layer of QIF neurons: a `chain` of one, with ``weight`` (post, pre) and ``phi0`` (post,); see there."""
    run, _ = chain(
        times, psi, [(weight, phi0)], neuron=neuron, trial=trial, capacities=[capacity],
        renormalise_after=renormalise_after,
    )  # fmt: skip
    return run.layers[0]
