"""Prey and predators, an ODE system. From the equations to Lava, beside scipy's solver."""

import sys

import numpy as np
from scipy.integrate import solve_ivp

import qif2hw
from qif2hw import physics
from qif2hw.train import train

GROW, EATEN, FED, DIE = 2 / 3, 4 / 3, 1.0, 1.0
LAST = 8.0  # a little more than a period


def change(u, v):
    return GROW * u - EATEN * u * v, FED * u * v - DIE * v


def by_scipy():
    """Times, and prey and predators then."""
    t = np.linspace(0, LAST, 400)
    return t[:, None], solve_ivp(lambda t, y: change(*y), (0, LAST), [1.0, 1.0], t_eval=t, rtol=1e-9, atol=1e-9).y.T


def residual(u, v, u_t, v_t):
    du, dv = change(u, v)
    return u_t - du, v_t - dv


PREY = physics.pinn(
    "lotka_volterra",
    coordinates={"t": (0, LAST)},
    quantities=("u", "v"),
    residual=residual,
    base=lambda: (1.0, 1.0),
    factor=lambda t: t.tanh(),
    test=by_scipy(),
)

if __name__ == "__main__":
    trained = train(PREY, weight_bits=8)
    bundle = qif2hw.compile(trained.network, steps=512)
    bundle.save(sys.argv[1] if len(sys.argv) > 1 else "lotka_volterra.qif")
    errors = PREY.errors(bundle.run(trained.x).y, trained.truth)
    print(f"float {trained.error:.2%}, engine {max(e.relative for e in errors.values()):.2%}")
    print(qif2hw.parity.check(bundle, trained.x[::20], backends=("reference", "engine", "lava")).ok)
