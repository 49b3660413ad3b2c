"""Prey and predators, an ODE system. From the equations to Lava, beside scipy's solver."""

import numpy as np
from scipy.integrate import solve_ivp

import qif2hw
from qif2hw import physics
from qif2hw.train import Settings, train

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
    settings=Settings(steps=3000, learning_rate=3e-3, batch=100, optimizer="soap"),
)

if __name__ == "__main__":
    trained = train(PREY)
    qif2hw.save(trained.network, "lotka_volterra.onnx")
    bundle = qif2hw.compile("lotka_volterra.onnx", steps=512)
    errors = PREY.errors(bundle.run(trained.x).y, trained.truth)
    print(f"float {trained.error:.2%}, engine {max(e.relative for e in errors.values()):.2%}")
    print(qif2hw.parity.check(bundle, trained.x[::20], backends=("reference", "engine", "lava")).ok)
