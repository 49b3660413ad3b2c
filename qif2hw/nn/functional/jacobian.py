"""Exact Jacobians of a pass through dense layers: a row for every sample and result, or of a few samples."""

import numpy as np
from numpy.typing import DTypeLike
from torch import Tensor

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray, IntArray
from qif2hw.kernels import dense_rows as kernels
from qif2hw.nn.functional import compiled
from qif2hw.nn.functional.dense import ChainPass
from qif2hw.nn.functional.output import ForwardPass
from qif2hw.simd import Reals


def jacobian(
    run: ForwardPass, samples: IntArray | None = None, *, by_y: FloatArray | None = None,
    by_first: FloatArray | None = None, dtype: DTypeLike | None = None,
) -> Reals:  # fmt: skip
    r"""Derivatives of results of a pass by all parameters.

    .. math:: J_{ip} = \sum_k \Big( \sum_m \alpha_{ikm} \partial y_{b_{ik} m} / \partial \theta_p
                       + \sum_n \beta_{ikn} \partial t_{b_{ik} n} / \partial \theta_p \Big)

    A row of one sample is the gradient that autograd gives for it alone, to the last bit, on any number of threads.

    Parameters
    ----------
    run
        Of `qif2hw.nn.QIFNetwork.run` with gradients enabled, all layers dense, on the CPU.
    samples
        Sample :math:`b_i` of each row (rows,), or samples :math:`b_{ik}` (rows, terms).  Without it, and without
        weights, there is a row for every sample and every result, the results of a sample one behind the other.
    by_y, by_first
        The weights :math:`\alpha` (rows, outputs) of results and :math:`\beta` (rows, neurons) of first spike times of
        the last layer, (rows, terms, ..) with several samples in a row; None for zero.  Terms without weights cost
        nothing.
    dtype
        Element type of the rows, float64 or float32; that of the network if None.

    Returns
    -------
    array (rows, parameters)
        The parameters are weights (post, pre), then initial phases (post,), layer after layer.  It takes rows times
        parameters numbers (2000 rows of 9000 parameters: 72 MB in float32) and a copy of the network for each thread:
        call it with some of the rows at a time where that is too much.

    Raises
    ------
    InputError
        For a pass through other layers, one without gradients, and weights or samples that do not fit it.
    """
    made = getattr(run.y.grad_fn, "kernel", None)
    if not isinstance(made, ChainPass):
        raise InputError("jacobian: a pass through dense layers on the CPU, with gradients enabled, is needed")
    _unchanged(run.y)
    batch, outputs = run.y.shape
    neurons, own = run.first.shape[1], made.spikes.dtype
    if samples is None:
        if by_y is not None or by_first is not None:
            raise InputError("jacobian: weights need the samples that they belong to")
        samples, by_y = np.repeat(np.arange(batch), outputs), np.tile(np.eye(outputs), (batch, 1))
    at = np.ascontiguousarray(samples, np.int64)
    if at.ndim not in (1, 2) or (at.size and not (at.min() >= 0 and at.max() < batch)):
        raise InputError(f"jacobian: samples are indices (rows,) or (rows, terms) below {batch}")
    alpha = np.zeros((*at.shape, outputs), own) if by_y is None else np.ascontiguousarray(by_y, own)
    beta = np.zeros((*at.shape, neurons), own) if by_first is None else np.ascontiguousarray(by_first, own)
    if alpha.shape != (*at.shape, outputs) or beta.shape != (*at.shape, neurons):
        raise InputError(
            f"jacobian: weights {alpha.shape} and {beta.shape} of samples {at.shape}: "
            f"{(*at.shape, outputs)} and {(*at.shape, neurons)} are needed"
        )
    if at.ndim == 1:
        at, alpha, beta = at[:, None], alpha[:, None], beta[:, None]
    rows = np.empty((len(at), made.plan.totals[-1]), own if dtype is None else dtype)
    parallel = made.plan.work * at.size > compiled.WORTH_THREADS * batch
    (kernels.rows_parallel if parallel else kernels.rows)(made.chain, at, alpha, beta, rows)
    return rows


def _unchanged(y: Tensor) -> None:
    """Autograd's error if a parameter was changed in place since."""
    _ = y.grad_fn.saved_tensors  # type: ignore[union-attr]
