"""Inputs for a comparison where the user gives none."""

import numpy as np

from qif2hw.bundle import AnyBundle, SteppedBundle
from qif2hw.ir.arrays import FloatArray


def default_inputs(bundle: AnyBundle, samples: int) -> FloatArray:
    """Random inputs (samples, columns) from the whole domain, in the user's units, always the same.

    With a stepped clock they are the golden ones, however many.
    """
    if isinstance(bundle, SteppedBundle):
        return bundle.golden.x
    return bundle.program.unscaled(np.random.default_rng(0).random((samples, bundle.program.width)))
