"""Damped Gauss-Newton in the space of residuals, with momentum: for losses that first-order steps lower only slowly."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from torch import Tensor, nn

from qif2hw.errors import InputError
from qif2hw.ir.arrays import BoolArray
from qif2hw.simd import Reals
from qif2hw.threads import one_blas_thread

TILE = 256
"""Rows and columns of the parts in which a Gram matrix is computed."""
WINDOW = 10
"""Fewest steps whose losses are averaged (their logarithms) and compared with those before them."""
STALLED = math.log(0.95)
"""Change of the mean logarithm from which on a loss counts as one that does not fall."""
LESS = 0.7
"""Factor of the damping while the loss falls, and of the length where it does not."""
WORSE, MORE = 2.0, 4.0
"""Factor of the loss from which on a step is taken back, and that of the damping then."""
LEAST_DAMPING = 1e-6
"""The damping is not lowered further."""
SHORTEST = 0.01
"""Length below which there is nothing to gain any more."""


class GaussNewton:
    r"""Steps of the damped Gauss-Newton method on batches of residuals, in the dual (SPRING, arXiv:2401.10190).

    .. math:: d \leftarrow \mu d + J^T (J J^T + \lambda \bar g 1)^{-1} (e - \mu J d), \quad
              \theta \leftarrow \theta + s d

    ``J`` are the derivatives of the results by the parameters, ``e`` what is missing to them, and
    :math:`\bar g` is the mean of the diagonal of :math:`J J^T`.  Without momentum each batch would be fitted, and the
    others forgotten.

    Damping and length follow from the loss of *other* samples than the batch's.  While its average over a window
    falls, the damping is lowered; where it does not, what is left is noise of the batches, which shorter steps average
    out.  A step that doubles the loss is taken back, the direction forgotten and the damping raised.  (To take the
    length that lowers each batch's loss most is no good: it ends far too early.)

    Parameters
    ----------
    parameters
        What moves.  Columns of a Jacobian have their order.
    damping, momentum, length
        :math:`\lambda` and the length ``s`` to begin with; :math:`\mu`.
    window
        Steps whose losses are averaged (their logarithms) and compared with those before them.
    follow
        Whether they follow from the losses.  Not where these rise for another reason: fewer and fewer parameters move.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        damping: float = 1e-4,
        momentum: float = 0.95,
        length: float = 0.3,
        window: int = WINDOW,
        follow: bool = True,
    ) -> None:
        self.parameters, self.momentum, self.window, self.follow = list(parameters), momentum, window, follow
        self.steps = 0
        self.direction = torch.zeros(sum(p.numel() for p in self.parameters), dtype=torch.float64)
        self._chosen = torch.tensor([damping, length], dtype=torch.float64)
        self._seen = torch.tensor([0.0, 0.0, torch.inf], dtype=torch.float64)

    @property
    def damping(self) -> float:
        """Damping of the next step, in units of the mean squared length of a Jacobian's row."""
        return float(self._chosen[0])

    @property
    def length(self) -> float:
        """Length of the next step, in units of the direction's."""
        return float(self._chosen[1])

    @property
    def ended(self) -> bool:
        """Whether there is nothing to gain any more."""
        return self.length < SHORTEST

    def state(self) -> dict[str, Tensor]:
        """State to go on from, to be written and restored in place: parameters of their shapes, and the direction.

        The direction has shape (parameters,), damping and length (2,), sum and number of the logarithms of losses in
        this window and their mean in the last one (3,).
        """
        values = {f"value{k}": p.data for k, p in enumerate(self.parameters)}
        return {**values, "direction": self.direction, "chosen": self._chosen, "seen": self._seen}

    def turn(self, jacobian: Reals, missing: Reals, free: BoolArray | None = None) -> None:
        """Turn the direction to one that gives a batch what is missing.

        The Gram matrix is computed in the Jacobian's element type; where its damped form is not positive definite in
        that arithmetic, the damping is raised tenfold.  Memory: (rows, parameters), which is given, and twice
        (rows, rows); where there are fewer parameters than rows, as much again and twice (parameters, parameters).
        No bit depends on the number of numba's threads; on that of torch's it may.

        Parameters
        ----------
        jacobian
            Derivatives of the results (rows, parameters), float64 or float32.
        missing
            Results that are wanted minus those that there are (rows,).
        free
            Which of the parameters move (parameters,): the Jacobian has columns of these alone.  None for all.

        Raises
        ------
        InputError
            If one of the numbers is infinite or not a number.
        """
        whole = self.direction.numpy()
        before = whole if free is None else whole[free]
        with one_blas_thread():
            rows, columns = jacobian.shape
            # Both systems have the same solution: the smaller one is solved.
            dual = rows <= columns
            gram = gram_of(jacobian if dual else np.ascontiguousarray(jacobian.T))
            scale = float(np.trace(gram, dtype=np.float64)) / rows
            new = missing - self.momentum * (jacobian @ before.astype(jacobian.dtype)).astype(np.float64)
            if not (np.isfinite(scale) and np.isfinite(new).all()):
                raise InputError("second-order step: a residual or a derivative is not finite")
            before *= self.momentum
            if scale > 0:
                right = new.astype(jacobian.dtype)
                before += (
                    jacobian.T @ self._solve(gram, scale, right)
                    if dual
                    else self._solve(gram, scale, jacobian.T @ right)
                )
        if free is not None:
            whole[:] = 0.0
            whole[free] = before

    def _solve(self, gram: Reals, scale: float, right: Reals) -> Reals:
        diagonal = np.diag_indices(len(gram))
        plain = gram[diagonal].astype(np.float64)
        while True:
            gram[diagonal] = plain + self.damping * scale
            factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(gram))
            if not failed:
                solution: Reals = torch.cholesky_solve(torch.from_numpy(right)[:, None], factor)[:, 0].numpy()
                return solution
            self._chosen[0] *= 10.0

    @torch.no_grad()
    def move(self, loss: Callable[[], float], share: float = 1.0) -> float:
        """Go along the direction, unless that makes the loss much worse; returns the loss there.

        Parameters
        ----------
        loss
            Of the present parameters, on samples that the direction does not come from.
        share
            Of the length: less than one towards the end of a run, where shorter steps average out noise of the batches.
        """
        self.steps += 1
        parts = self.direction.split([p.numel() for p in self.parameters])
        start = [p.detach().clone() for p in self.parameters]
        before = loss()
        for p, part in zip(self.parameters, parts, strict=True):
            p.add_(part.view(p.shape), alpha=share * self.length)
        after = loss()
        if not after <= WORSE * before:
            for p, value in zip(self.parameters, start, strict=True):
                p.copy_(value)
            self.direction.zero_()
            self._chosen[0] *= MORE
            after = before
        if self.follow:
            self._follow(after)
        return after

    def _follow(self, loss: float) -> None:
        """Choose damping and length from the losses of a window, at its end."""
        self._seen[0] += math.log(max(loss, 1e-300))
        self._seen[1] += 1
        if self._seen[1] < self.window:
            return
        now, last = float(self._seen[0]) / self.window, float(self._seen[2])
        if now > last + STALLED:
            self._chosen[1] *= LESS
        elif math.isfinite(last):
            self._chosen[0] = max(LESS * self.damping, LEAST_DAMPING)
        self._seen.copy_(torch.tensor([0.0, 0.0, now], dtype=torch.float64))


def gram_of(jacobian: Reals) -> Reals:
    """``J J^T`` (rows, rows) of ``J`` (rows, parameters), in parallel parts that do not depend on the threads."""
    rows = len(jacobian)
    gram = np.empty((rows, rows), jacobian.dtype)
    starts = range(0, rows, TILE)

    def fill(corner: tuple[int, int]) -> None:
        down, across = (slice(at, min(at + TILE, rows)) for at in corner)
        gram[down, across] = jacobian[down] @ jacobian[across].T
        if down != across:
            gram[across, down] = gram[down, across].T

    with one_blas_thread(), ThreadPoolExecutor(numba.get_num_threads()) as threads:
        list(threads.map(fill, [(i, j) for i in starts for j in starts if j <= i]))
    return gram
