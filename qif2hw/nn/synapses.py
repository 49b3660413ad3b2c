"""Listed synapses of layers: random ones, and those of several sources as one list and back."""

from collections.abc import Sequence

import numpy as np
import torch

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.ir.network import Projection
from qif2hw.ir.synapses import AnySynapses, Dense, Sparse


def random_synapses(pre: int, post: int, density: float, *, generator: torch.Generator | None = None) -> Sparse:
    """Synapses from a random share of the channels: ``max(1, round(density pre))`` to each neuron, without repetition.

    Raises
    ------
    InputError
        If ``density`` does not lie in (0, 1], or a size is less than 1.
    """
    if pre < 1 or post < 1 or not 0 < density <= 1:
        raise InputError(
            f"synapses of {post} neurons with {pre} inputs and density {density:g}: sizes of at least 1 and a density "
            "in (0, 1] are needed"
        )
    fan_in = max(1, round(density * pre))
    chosen = [torch.randperm(pre, generator=generator)[:fan_in].sort().values for _ in range(post)]
    return Sparse(np.arange(post + 1) * fan_in, torch.cat(chosen).numpy(), pre)


def joined(projections: Sequence[Projection]) -> tuple[AnySynapses, FloatArray]:
    """Synapses from several sources, numbered through, and their weights: listed if those of any source are.

    Weights are (post, pre), or (synapses,) where synapses are listed; those of one source keep their shape.
    """
    if all(isinstance(p.synapses, Dense) for p in projections):
        weight = np.concatenate([p.weight for p in projections], axis=1)
        return Dense(*weight.shape), weight
    if len(projections) == 1:
        return projections[0].synapses, projections[0].weight
    widths = [p.synapses.shape[1] for p in projections]
    edges = [p.synapses.edges() for p in projections]
    post = np.concatenate([e.post for e in edges])
    pre = np.concatenate([e.pre + start for e, start in zip(edges, np.cumsum([0, *widths]), strict=False)])
    weight = np.concatenate([p.weight.ravel()[e.place] for p, e in zip(projections, edges, strict=True)])
    order = np.lexsort((pre, post))
    return _listed(post[order], pre[order], (projections[0].synapses.shape[0], sum(widths))), weight[order]


def columns(synapses: AnySynapses, weight: FloatArray, low: int, high: int) -> tuple[AnySynapses, FloatArray]:
    """Synapses from the channels ``low`` to ``high``, and their weights: one part of what `joined` puts together.

    Weights are (post, pre), or (synapses,) where synapses are listed.
    """
    post, pre = synapses.shape
    if (low, high) == (0, pre):
        return synapses, weight
    if not isinstance(synapses, Sparse):
        return Dense(post, high - low), weight[:, low:high]
    here = (synapses.indices >= low) & (synapses.indices < high)
    return _listed(synapses.rows[here], synapses.indices[here] - low, (post, high - low)), weight[here]


def _listed(post: IntArray, pre: IntArray, shape: tuple[int, int]) -> Sparse:
    return Sparse(np.searchsorted(post, np.arange(shape[0] + 1)), pre.astype(np.int32), shape[1])
