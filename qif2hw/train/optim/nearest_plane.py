"""Rounding of some parameters of a least squares problem, one after the other, each compensated by all that follow."""

import numpy as np
import torch

from qif2hw.errors import InputError
from qif2hw.ir.arrays import FloatArray
from qif2hw.threads import one_blas_thread


class NearestPlane:
    r"""Parameters that nearly minimise a quadratic form, the last ones on a grid: Babai's nearest plane.

    .. math:: (\theta - \theta_0)^T (G + \lambda \bar g 1) (\theta - \theta_0) - 2 p^T (\theta - \theta_0)

    The last parameter goes to the grid point nearest to its value at the minimum; then the one before it, to that
    nearest to its value at the minimum with the last one where it is, and so on; those that stay free go to their
    minimum.  So what one rounding does to the form is taken back by all parameters before it.

    Parameters
    ----------
    gram, pull
        The form's ``G`` (parameters, parameters), which is overwritten, and ``p`` (parameters,).
    start
        :math:`\theta_0` (parameters,).
    damping
        :math:`\lambda`, in units of the mean :math:`\bar g` of the diagonal of ``G``; raised tenfold where the damped
        form is not positive definite in float64.

    Raises
    ------
    InputError
        If one of the numbers is infinite or not a number.

    References
    ----------
    L. Babai, *On Lovász' lattice reduction and the nearest lattice point problem*, Combinatorica 6, 1986.
    E. Frantar et al., *GPTQ*, arXiv:2210.17323, 2022: the same for the weights of a layer.
    """

    def __init__(self, gram: FloatArray, pull: FloatArray, start: FloatArray, damping: float) -> None:
        if not (np.isfinite(gram.diagonal()).all() and np.isfinite(pull).all()):
            raise InputError("rounding: a residual or a derivative is not finite")
        with one_blas_thread():
            self._factor = _factor(gram, damping)
            self._centre = start + torch.cholesky_solve(torch.from_numpy(pull)[:, None], self._factor)[:, 0].numpy()

    def round_last(self, step: FloatArray, most: int) -> FloatArray:
        """All parameters, the last ones (rounded,) on grids of these steps and of at most so many steps each way."""
        size, free = len(self._centre), len(self._centre) - len(step)
        lower, centre = self._factor.numpy(), self._centre
        away, pushed = np.zeros(size), np.zeros(size)
        with one_blas_thread():
            for k in range(size - 1, free - 1, -1):
                wanted = centre[k] - pushed[k] / lower[k, k]
                levels = np.clip(np.rint(wanted / step[k - free]), -most, most)
                away[k] = levels * step[k - free] - centre[k]
                pushed[:k] += lower[k, :k] * away[k]
            if free:
                upper, right = self._factor[:free, :free].T, torch.from_numpy(-pushed[:free, None])
                away[:free] = torch.linalg.solve_triangular(upper, right, upper=True)[:, 0].numpy()
        found: FloatArray = centre + away
        found[free:] = np.rint(found[free:] / step) * step
        return found


def _factor(gram: FloatArray, damping: float) -> torch.Tensor:
    """Lower Cholesky factor of the damped form."""
    plain = gram.diagonal().copy()
    scale = float(plain.mean()) or 1.0
    diagonal = np.diag_indices(len(gram))
    while True:
        gram[diagonal] = plain + damping * scale
        factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(gram))
        if not failed:
            return factor
        damping *= 10.0
