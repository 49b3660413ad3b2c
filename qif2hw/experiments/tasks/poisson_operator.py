r"""The solution operator of :math:`-u'' = f`, :math:`u(\pm 1) = 0`, for random ``f`` (DeepONet).

``f`` is a Gaussian random field of unit variance with the kernel :math:`\exp(-(x - x')^2 / 2)`, seen at 51 points.
"""

from dataclasses import replace

import numpy as np
from numpy.polynomial import chebyshev

from qif2hw.ir.arrays import FloatArray
from qif2hw.physics import operator

SENSORS = np.linspace(-1.0, 1.0, 51)
FUNCTIONS = 800
LENGTH = 1.0
REACH = 5.0
"""Values of ``f`` in +-5 are scaled to [0, 1]."""
DEGREE = 32
"""Of the interpolating polynomials: the kernel is analytic, and they are exact to rounding."""


def fields(count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Functions ``f`` and solutions ``u`` at the sensors, both (functions, 51).

    ``f`` is drawn at Chebyshev's points and its interpolating polynomial integrated twice.
    """
    nodes = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    values, vectors = np.linalg.eigh(np.exp(-0.5 * ((nodes[:, None] - nodes) / LENGTH) ** 2))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.random.default_rng([seed, count]).standard_normal((count, DEGREE + 1)) @ root.T
    # At Chebyshev's points the least squares fit of full degree is the interpolant.
    f = np.linalg.solve(chebyshev.chebvander(nodes, DEGREE), drawn.T)
    twice = -chebyshev.chebint(f, 2)
    left, right = chebyshev.chebval(-1.0, twice), chebyshev.chebval(1.0, twice)
    line = np.multiply.outer(0.5 * (1 - SENSORS), left) + np.multiply.outer(0.5 * (1 + SENSORS), right)
    return chebyshev.chebval(SENSORS, f), chebyshev.chebval(SENSORS, twice) - line.T


POISSON_OPERATOR = operator(
    "poisson_operator",
    summary="the solution operator of Poisson's equation (DeepONet, branch 51-64-128, trunk 1-64-128)",
    train=lambda: fields(FUNCTIONS, 0),
    test=lambda: fields(FUNCTIONS, 1),
    points=SENSORS[:, None],
    sensors=[f"f({c:.2g})" for c in SENSORS],
    reach=(-REACH, REACH),
    coordinates={"x": (-1.0, 1.0)},
    factor=lambda x: 1 - x.square(),
)

POISSON_OPERATOR = replace(
    POISSON_OPERATOR,
    encoded=replace(
        POISSON_OPERATOR,
        settings=replace(POISSON_OPERATOR.settings, steps=6000, finish_steps=80, finish_early=False),
    ),
)
"""The task: 800 functions at 51 points each, the same for every seed, and 800 others to test."""
