r"""The layer as a blocked scan over whole batches, for devices that want few large operations: no loop over events.

Input event ``i`` turns each neuron's vector by ``omega (t_i - t_(i-1))`` and shears it: a product of 2x2 matrices,
which is associative.  Within a block of events all prefix products come from doubling; between blocks one vector
per neuron is carried on.  Three scans make the layer:

1. directions ``u_i`` after every event, from the prefix products (any scale will do);
2. one Newton step against what rounding left in them: with ``d_j`` the angle by which ``u_j`` misses the image of
   ``u_(j-1)``, the equation is solved by turning ``u_i`` by :math:`\sum_{j \le i} d_j R_j^2 / R_i^2`;
3. lengths, :math:`\log R_i^2`, the running sum of the growth by each shear.

A neuron fires ``round((theta_i + alpha - theta'_(i+1)) / pi)`` times in a gap, the number of half turns that take it
from its angle after one event to that before the next.  Gradients are those of `qif2hw.kernels.dense`:
:math:`Q_i = \sum_{k > i} g_k R_i^2 / R_k^2` is a scan from the other end, and
``dL/dw_i = -sin^2(theta_i) Q_i / (r omega)``.  The backward pass runs the forward one again: nothing of size
batch x events x neurons is kept.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qif2hw import neuron as formulas
from qif2hw.errors import InputError
from qif2hw.neuron import QIF
from qif2hw.nn.functional.arguments import check
from qif2hw.nn.functional.compiled import BAD_TIME
from qif2hw.nn.functional.first_order import first_order
from qif2hw.nn.functional.output import LayerOutput

# The formulas are written for numbers and arrays; they use operators only and serve tensors as well.
_rotate: Any = formulas.rotate
_shear: Any = formulas.shear
_length_change: Any = formulas.length_change
_weight_slope: Any = formulas.spike_weight_slope

CELLS = {"cpu": 2**18}
"""Samples times events times neurons that are worked on at a time, by device: on a CPU as many as its cache holds."""

MOST_CELLS = 2**24
"""The same on other devices: some thirty arrays of this size exist at once, 4 GB in float64."""


class _Run(NamedTuple):
    """What happened in a slice of a batch; S events, the first at 0 (no spike), gaps after each of them.

    ``place`` (batch, pre * K) is the event of each input spike (S for those after the trial), ``since`` (batch, S, 1)
    the time of each event, ``a`` (batch, S, post) the shears, ``x, y, grown`` (same shape) unit vector and logarithm of
    the squared length after each of them, ``fired`` the spikes in each gap.  ``end`` holds ``theta'``, the unit
    height and the growth of the last shear (batch, post).
    """

    place: Tensor
    since: Tensor
    a: Tensor
    x: Tensor
    y: Tensor
    grown: Tensor
    fired: Tensor
    end: tuple[Tensor, Tensor, Tensor]


def discounted_sums(values: Tensor, grown: Tensor) -> Tensor:
    r""":math:`Q_i = \sum_{j \ge i} v_j \exp(l_i - l_j)` along dimension 1, without leaving the range of numbers.

    ``values`` are :math:`v_j`, ``grown`` :math:`l_j`, both (batch, steps, ...).
    """
    total, step, size = values, 1, values.shape[1]
    while step < size:
        ratio = (grown[:, :-step] - grown[:, step:]).exp()
        total = torch.cat([total[:, :-step] + ratio * total[:, step:], total[:, -step:]], dim=1)
        step *= 2
    return total


def _upper(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vector of the same line with ``y >= 0``."""
    scale = torch.where(y < 0, -1.0, 1.0) / torch.hypot(x, y)
    return x * scale, y * scale


def _directions(x0: Tensor, y0: Tensor, c: Tensor, s: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors after events, by prefix products in blocks: ``x0, y0`` (post,), ``c, s`` (batch, S, 1)."""
    batch, events, post = a.shape
    length = 1 << max(0, math.ceil(math.log2(max(events, 1)) / 2))
    blocks = max(1, -(-events // length))
    shape = (batch, blocks, length, post)

    def split(values: Tensor, fill: float) -> Tensor:
        padded = torch.nn.functional.pad(values, (0, 0, 0, blocks * length - events), value=fill)
        return padded.reshape(batch, blocks, length, values.shape[2]).expand(shape)

    c, s, a = split(c, 1.0), split(s, 0.0), split(a, 0.0)
    # The images of the two unit vectors are the columns of a matrix.
    p, r = _shear(c, s, a), s
    q, t = _shear(-s, c, a), c
    step = 1
    while step < length:
        p2, q2, r2, t2 = (m[:, :, step:] for m in (p, q, r, t))
        p1, q1, r1, t1 = (m[:, :, :-step] for m in (p, q, r, t))
        products = (p2 * p1 + q2 * r1, p2 * q1 + q2 * t1, r2 * p1 + t2 * r1, r2 * q1 + t2 * t1)
        largest = torch.stack([m.abs() for m in products]).amax(dim=0)
        p, q, r, t = (
            torch.cat([m[:, :, :step], new / largest], dim=2)
            for m, new in zip((p, q, r, t), products, strict=True)
        )  # fmt: skip
        step *= 2
    x, y = x0.expand(batch, post), y0.expand(batch, post)
    starts_x, starts_y = [], []
    for block in range(blocks):
        starts_x.append(x)
        starts_y.append(y)
        p1, q1, r1, t1 = (m[:, block, -1] for m in (p, q, r, t))
        x, y = _upper(p1 * x + q1 * y, r1 * x + t1 * y)
    x, y = torch.stack(starts_x, dim=1)[:, :, None], torch.stack(starts_y, dim=1)[:, :, None]
    x, y = _upper(p * x + q * y, r * x + t * y)
    return x.reshape(batch, -1, post)[:, :events], y.reshape(batch, -1, post)[:, :events]


def _run(times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, neuron: QIF, trial: float) -> _Run:
    batch, pre, depth = times.shape
    omega = neuron.omega
    flat, order = times.reshape(batch, pre * depth).sort(dim=1, stable=True)
    live = flat <= trial
    last = int(live.sum(dim=1).max()) if flat.shape[1] else 0
    place = torch.where(live, torch.arange(1, flat.shape[1] + 1, device=times.device), last + 1)
    place = torch.empty_like(place).scatter_(1, order, place)
    flat, order, live = flat[:, :last], order[:, :last], live[:, :last, None]
    a = torch.where(live, (weight.T / neuron.r)[order // depth], 0.0)
    since = torch.nn.functional.pad(torch.where(live[:, :, 0], flat, trial), (1, 0))[:, :, None]
    gap = torch.diff(since, dim=1, append=since.new_full((batch, 1, 1), trial))
    c, s = (omega * gap).cos(), (omega * gap).sin()
    # Event 0 is the start: neither turn nor shear.
    x0, y0 = (omega * phi0).cos(), (omega * phi0).sin()
    x, y = _directions(x0, y0, c[:, :-1], s[:, :-1], a)
    a = torch.nn.functional.pad(a, (0, 0, 1, 0))
    x, y = (torch.cat([u0.expand(batch, 1, -1), u], dim=1) for u0, u in ((x0, x), (y0, y)))

    def images() -> tuple[Tensor, Tensor, Tensor]:
        to_x, to_y = _rotate(x[:, :-1], y[:, :-1], c[:, :-1], s[:, :-1])
        to_x = _shear(to_x, to_y, a[:, 1:])
        growth = (to_x * to_x + to_y * to_y).log().cumsum(dim=1)
        return to_x, to_y, torch.nn.functional.pad(growth, (0, 0, 1, 0))

    to_x, to_y, grown = images()
    along = to_x * x[:, 1:] + to_y * y[:, 1:]
    miss = torch.nn.functional.pad((to_y * x[:, 1:] - to_x * y[:, 1:]) / along, (0, 0, 1, 0))
    turn = discounted_sums(miss.flip(1), (-grown).flip(1)).flip(1)
    x, y = x - turn * y, y + turn * x
    x, y = _upper(x, y)
    _, _, grown = images()
    # Angles after an event, and before the next one, whose height is the same.
    theta = torch.atan2(y, x)
    before = torch.atan2(y[:, 1:], x[:, 1:] + a[:, 1:] * y[:, 1:])
    end_x, end_y = _upper(*_rotate(x[:, -1:], y[:, -1:], c[:, -1:], s[:, -1:]))
    before = torch.cat([before, torch.atan2(end_y, end_x)], dim=1)
    fired = ((theta + omega * gap - before) / math.pi).round().to(torch.int64)
    kick = psi @ weight.T / neuron.r
    end_x, end_y = end_x[:, 0], end_y[:, 0]
    end_x = _shear(end_x, end_y, kick)
    length = torch.hypot(end_x, end_y)
    end = (torch.atan2(end_y, end_x), end_y / length, 2 * length.log())
    return _Run(place, since, a, x, y, grown, fired, end)


def _slots(fired: Tensor, q: int, room: int) -> Tensor:
    """Index (batch, post, S) of each gap's ``q``-th spike among the neuron's spikes; ``room`` where there is none."""
    index = fired.cumsum(dim=1) - fired + (q - 1)
    return torch.where(fired >= q, index, room).transpose(1, 2)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, neuron: QIF, trial: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(times, psi, weight, phi0)
        ctx.constants = (neuron, trial)
        parts = []
        for some, pseudo in _portions(weight.shape[0], times, psi):
            run = _run(some, pseudo, weight, phi0, neuron, trial)
            room = max(1, int(run.fired.sum(dim=1).max()))
            spikes = times.new_full((len(some), weight.shape[0], room + 1), torch.inf)
            theta = torch.atan2(run.y, run.x)
            for q in range(1, int(run.fired.max()) + 1):
                when = run.since + (q * math.pi - theta) / neuron.omega
                spikes.scatter_(2, _slots(run.fired, q, room), when.transpose(1, 2))
            parts.append((spikes[:, :, :room], run.end[0]))
        room = max(spikes.shape[2] for spikes, _ in parts)
        pad = torch.nn.functional.pad
        spikes = torch.cat([pad(s, (0, room - s.shape[2]), value=torch.inf) for s, _ in parts])
        theta = torch.cat([end for _, end in parts])
        return spikes, theta / math.pi, trial + (math.pi - theta) / neuron.omega

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        times, psi, weight, phi0 = ctx.saved_tensors
        neuron, trial = ctx.constants
        with torch.no_grad():
            found = _gradients(times, psi, weight, phi0, grads, neuron, trial)
        return *first_order(found, ctx.saved_tensors), None, None


def _gradients(
    times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, grads: Sequence[Tensor], neuron: QIF, trial: float
) -> tuple[Tensor, ...]:
    """Gradients to input times, pseudo-phases, weights and initial phases."""
    to_weight, to_phi0 = torch.zeros_like(weight), torch.zeros_like(phi0)
    to_times, to_psi = [], []
    for some, pseudo, *grad in _portions(weight.shape[0], times, psi, *grads):
        run = _run(some, pseudo, weight, phi0, neuron, trial)
        back = _back(run, pseudo, weight, grad, neuron)
        to_times.append(back[0].reshape(some.shape))
        to_psi.append(back[1])
        to_weight += back[2]
        to_phi0 += back[3]
    return torch.cat(to_times), torch.cat(to_psi), to_weight, to_phi0


def _portions(post: int, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    cells = CELLS.get(tensors[0].device.type, MOST_CELLS)
    size = max(1, cells // max(1, tensors[0][0].numel() * post))
    return list(zip(*(t.split(size) for t in tensors), strict=True))


def _back(
    run: _Run, psi: Tensor, weight: Tensor, grad: list[Tensor], neuron: QIF
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients to input times (batch, pre * K), pseudo-phases, weights and initial phases."""
    grad_times, grad_psi, grad_next = grad
    padded = torch.nn.functional.pad(grad_times, (0, 1))
    pull = torch.zeros_like(run.x)
    for q in range(1, int(run.fired.max()) + 1):
        slots = _slots(run.fired, q, grad_times.shape[2])
        pull = pull + padded.gather(2, slots).transpose(1, 2)
    _, height, growth = run.end
    final = grad_next - grad_psi * (neuron.omega / math.pi)
    pull = torch.cat([pull, final[:, None]], dim=1)
    grown = torch.cat([run.grown, run.grown[:, -1:] + growth[:, None]], dim=1)
    share = discounted_sums(pull, grown)
    # The way back through the last shear, by the pseudo-phases of the presynaptic neurons.
    flush = final * _weight_slope(height, 1.0, neuron.r, neuron.omega)
    share = share[:, :-1]
    # R+^2 - R-^2 over R+^2, with the vector after the shear: the way back is a shear by -a.
    change = -_length_change(run.x, run.y, -run.a)
    to_event = (share * change).sum(dim=2)
    by_weight = share * _weight_slope(run.y, 1.0, neuron.r, neuron.omega)
    to_times = torch.nn.functional.pad(to_event, (0, 1)).gather(1, run.place)
    batch, post = psi.shape[0], weight.shape[0]
    place = run.place[:, :, None].expand(-1, -1, post)
    by_weight = torch.nn.functional.pad(by_weight, (0, 0, 0, 1)).gather(1, place)
    by_weight = by_weight.reshape(batch, psi.shape[1], -1, post).sum(dim=(0, 2))
    return to_times, flush @ weight, by_weight.T + flush.T @ psi, -share[:, 0].sum(dim=0)


def layer(times: Tensor, psi: Tensor, weight: Tensor, phi0: Tensor, *, neuron: QIF, trial: float) -> LayerOutput:
    """One layer of QIF neurons on any device; arguments and results as those of `qif2hw.nn.functional.dense.layer`."""
    check(times, psi, weight, phi0, trial)
    if not bool((times >= 0).all()):
        raise InputError(BAD_TIME)
    return LayerOutput(*_Layer.apply(times, psi, weight, phi0, neuron, float(trial)))
