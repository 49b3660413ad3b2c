"""Spikes of one population with the potentials that made them: the machine's arithmetic, for training on it."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qif2hw.engine.stepped.neurons import euler_step, plane_fires, plane_step
from qif2hw.ir.stepped_program import SCALE_BITS, EulerStep, PlaneStep
from qif2hw.machinecode import compiled

Int32 = NDArray[np.int32]


def potentials(arithmetic: PlaneStep | EulerStep, current: Int32) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Run neurons of one channel from their reset state.

    Parameters
    ----------
    arithmetic
        What they do in a step.
    current
        Input sums in units of the potential, (steps, neurons).

    Returns
    -------
    array, array
        Whether they spiked, as in a run of `qif2hw.engine.stepped`, and their potentials before the reset, in units
        from rest, (steps, neurons).
    """
    fired, potential = np.empty(current.shape, np.bool_), np.empty(current.shape, np.float32)
    _RUNS[type(arithmetic)](arithmetic, current, fired, potential)
    return fired, potential


def _plane(own: PlaneStep, current: Int32, fired: Any, potential: Any) -> None:
    numbers = (values.item() for values in (own.coupling, own.threshold, own.reset))
    _run_plane(current, fired, potential, own.decay, own.coupling_shift, *numbers)


def _euler(own: EulerStep, current: Int32, fired: Any, potential: Any) -> None:
    numbers = (values.item() for values in (own.curvature, own.distance, own.threshold, own.reset))
    _run_euler(current, fired, potential, *numbers)


_RUNS: dict[type, Callable[[Any, Int32, Any, Any], None]] = {PlaneStep: _plane, EulerStep: _euler}


@compiled(parallel=True)
def _run_plane(current, fired, potential, decay, shift, coupling, threshold, reset):  # type: ignore[no-untyped-def]
    steps, neurons = current.shape
    for i in numba.prange(neurons):
        p, q = np.int64(reset), np.int64(1 << SCALE_BITS)
        for n in range(steps):
            p, q = plane_step(p, q, current[n, i], decay, shift, coupling)
            potential[n, i] = (p << SCALE_BITS) / q
            spike = plane_fires(p, q, threshold)
            if spike:
                p, q = np.int64(reset), np.int64(1 << SCALE_BITS)
            fired[n, i] = spike


@compiled(parallel=True)
def _run_euler(current, fired, potential, curvature, distance, threshold, reset):  # type: ignore[no-untyped-def]
    steps, neurons = current.shape
    for i in numba.prange(neurons):
        w = np.int64(reset)
        for n in range(steps):
            w = euler_step(w, current[n, i], curvature, distance)
            potential[n, i] = w
            spike = w >= threshold
            if spike:
                w = np.int64(reset)
            fired[n, i] = spike
