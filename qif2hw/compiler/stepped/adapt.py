r"""Pass: round weights by what they do to the currents, layer by layer on the machine itself.

A neuron receives :math:`\sum_j w_j s_j` in a step, ``s`` being what its sources send.  Rounded weights change it by
:math:`\Delta^T s`, whose mean the bias takes up; what is left has the variance :math:`\Delta^T C \Delta`, with ``C`` the
covariance of the sources on the calibration inputs.  Weights are rounded one after the other, and what rounding one
changes is spread over those that are not rounded yet, as the covariance says.

References
----------
E. Frantar, S. Ashkboos, T. Hoefler and D. Alistarh, *GPTQ: Accurate Post-Training Quantization for Generative
Pre-trained Transformers*, ICLR, 2023.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qif2hw.compiler.state import Currents, Section, SteppedState, plain
from qif2hw.compiler.stepped.arithmetic import arithmetic_of
from qif2hw.compiler.stepped.inputs import InputUnits
from qif2hw.compiler.stepped.lower import current_counts
from qif2hw.compiler.stepped.scales import Scales, labels, real_units, scale
from qif2hw.engine.stepped.blocks import Blocks, blocks_of
from qif2hw.engine.stepped.fast import late
from qif2hw.engine.stepped.neurons import fire
from qif2hw.engine.stepped.sums import Sums, currents
from qif2hw.ir import Conv2d, Dense, ProgramProjection, Projection
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.stepped import Accumulator, SteppedPopulation
from qif2hw.ir.stepped_program import SteppedProgramPopulation
from qif2hw.ir.weight_grid import largest_weight, weight_step
from qif2hw.reference import stepped as reference

MOST_UPDATES = 10_000_000_000
"""Synapses times time steps times samples that the pass may cost."""
MOST_SAMPLES = 512
MOST_PRODUCTS = 40_000_000_000
"""Products in a covariance; it is taken at fewer places where there are more."""
MOST_FEATURES = 4096
"""Sources of a neuron for which a covariance is held; more are rounded to the nearest."""
SHRINK = tuple(np.linspace(1.0, 0.5, 11))
"""Units that are tried, in parts of the one that puts the largest weight at the end of the grid."""
RIDGE = 0.01
"""Added to the variances, in parts of their mean: the covariance of few samples is no more than a guess."""
BLOCK = 128
"""Weights whose errors are spread together."""


@dataclass(frozen=True)
class StepsAdapted:
    """What adapting the rounding does.

    Parameters
    ----------
    samples
        Calibration inputs used.
    plain_error, error
        Deviation of the current that rounding to the nearest leaves, and adapted rounding, over the threshold (over the
        spread of the current where there is none), by projection; None where it was not adapted.
    """

    samples: int
    projections: dict[str, tuple[float, float] | None]


def covariance(blocks: Blocks, sent: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance of what the neurons of one channel read, (features,) and (features, features)."""
    rows = sent.reshape(-1, sent.shape[-1])
    features = blocks.weight[0].size
    places = int(np.prod(blocks.synapses.out_shape[1:])) if isinstance(blocks.synapses, Conv2d) else 1
    keep = max(1, int(len(rows) * places * features**2 / MOST_PRODUCTS))
    total, square, count = np.zeros(features), np.zeros((features, features)), 0
    block = max(1, (1 << 25) // (features * places))
    for low in range(0, len(rows), block):
        x = blocks.sums(rows[low : low + block], np.float32)
        if isinstance(blocks.synapses, Conv2d):
            windows = blocks.synapses._windows(x.reshape(-1, *blocks.blocks))
            x = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, features)
        x = x[low % keep :: keep]
        total += x.sum(axis=0, dtype=np.float64)
        square += x.T @ x
        count += len(x)
    mean = total / count
    return mean, square / count - np.outer(mean, mean)


def round_adapted(weight: FloatArray, c: FloatArray, step: FloatArray, levels: int) -> FloatArray:
    """Whole numbers of steps, (rows, features), at most ``levels``; ``weight`` in steps, 0 stays 0."""
    n = len(c)
    order = np.argsort(-np.diag(c), kind="stable")
    ridge = RIDGE * float(np.mean(np.diag(c))) or 1.0
    inverse = np.linalg.inv(c[np.ix_(order, order)] + ridge * np.eye(n))
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
    left, zero = weight[:, order].copy(), weight[:, order] == 0
    whole = np.empty_like(left)
    for low in range(0, n, BLOCK):
        high = min(low + BLOCK, n)
        errors = np.empty((len(left), high - low))
        for j in range(low, high):
            whole[:, j] = np.where(zero[:, j], 0.0, np.clip(np.rint(left[:, j]), -levels, levels))
            errors[:, j - low] = (left[:, j] - whole[:, j]) / upper[j, j]
            left[:, j + 1 : high] -= np.outer(errors[:, j - low], upper[j, j + 1 : high])
        left[:, high:] -= errors @ upper[low:high, high:]
    back = np.empty_like(whole)
    back[:, order] = whole
    return back
