"""A rod that cools: u_t = A u_xx on [0, 1], its ends held at zero. From the equation to Lava, beside scipy's solver."""

import math

import numpy as np
from scipy.integrate import solve_ivp

import qif2hw
from qif2hw import physics
from qif2hw.train import Settings, train

A = 0.1


def by_lines():
    """Places and times, and the temperature there: 400 cells in space, scipy's BDF in time."""
    x, t = np.linspace(0, 1, 401), np.linspace(0, 1, 41)
    start = np.sin(np.pi * x) + 0.5 * np.sin(2 * np.pi * x)
    slope = lambda t, u: A * 400**2 * np.concatenate([[0], np.diff(u, 2), [0]])  # noqa: E731
    u = solve_ivp(slope, (0, 1), start, "BDF", t, rtol=1e-7, atol=1e-9).y
    return np.stack(np.meshgrid(x[::10], t, indexing="ij"), axis=-1).reshape(-1, 2), u[::10].reshape(-1, 1)


HEAT = physics.pinn(
    "heat",
    coordinates={"x": (0, 1, "m"), "t": (0, 1, "s")},
    residual=lambda u_t, u_xx: u_t - A * u_xx,
    base=lambda x: (math.pi * x).sin() + 0.5 * (2 * math.pi * x).sin(),
    factor=lambda x, t: 4 * t * x * (1 - x),
    test=by_lines(),
    settings=Settings(steps=2000, learning_rate=3e-3, batch=100, optimizer="soap"),
)

if __name__ == "__main__":
    trained = train(HEAT)
    qif2hw.save(trained.network, "heat.onnx")
    bundle = qif2hw.compile("heat.onnx", steps=512)
    run = bundle.run(trained.x)
    print(f"float {trained.error:.2%}, engine {HEAT.errors(run.y, trained.truth)['u'].relative:.2%}")
    print(qif2hw.parity.check(bundle, trained.x[::100], backends=("reference", "engine", "lava")).ok)
