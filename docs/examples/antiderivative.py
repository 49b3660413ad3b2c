"""An operator from sampled functions: a DeepONet that integrates, u(c) = integral of f from 0 to c."""

import numpy as np

import qif2hw
from qif2hw import physics
from qif2hw.train import Settings, train

SENSORS = np.linspace(0, 1, 21)
POINTS = np.linspace(0, 1, 41)
WAVES = np.pi * np.arange(1, 4)


def functions(count, seed):
    """Sums of three sines and a constant at the sensors, and their integrals at the points."""
    a = np.random.default_rng(seed).uniform(-1, 1, (count, 4))
    f = a[:, :3] @ np.sin(np.outer(WAVES, SENSORS)) + a[:, 3:]
    return f, a[:, :3] @ ((1 - np.cos(np.outer(WAVES, POINTS))) / WAVES[:, None]) + a[:, 3:] * POINTS


INTEGRAL = physics.operator(
    "antiderivative",
    train=lambda: functions(300, 0),
    test=lambda: functions(100, 1),
    points=POINTS[:, None],
    sensors=[f"f({c:.2f})" for c in SENSORS],
    reach=(-4, 4),
    coordinates={"c": (0, 1)},
    factor=lambda c: c,
    hidden=(32,),
    products=16,
    fields=6,
    settings=Settings(steps=1500, learning_rate=3e-3, batch=50, optimizer="soap"),
)


def main(steps=None):
    """Train and compile; errors, means over functions, of the float network and on the engine."""
    trained = train(INTEGRAL, steps=steps)
    qif2hw.save(trained.network, "antiderivative.onnx")
    bundle = qif2hw.compile("antiderivative.onnx", steps=512)
    on_engine = INTEGRAL.errors(bundle.run(trained.x).y, trained.truth)["u"].relative
    return {"float": trained.error, "engine": on_engine}


if __name__ == "__main__":
    print({name: f"{error:.2%}" for name, error in main().items()})
