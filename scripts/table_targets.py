"""The figures of docs/targets.md: errors of kicks, and results on ``loihi2-microcode`` beside ``--form cotangent``."""

import numpy as np

from qif2hw import reference, zoo
from qif2hw.experiments.reproduce import qif
from qif2hw.experiments.reproduce.zoo_build import trials
from qif2hw.ir import CotangentTables

MOST = 4000
"""Test inputs."""


def kicks() -> None:
    """Largest and RMS error of a kick over the zoo, in steps: plane vectors, and tables as fine as the target has."""
    plane: dict[str, tuple[float, float]] = {}
    tables: list[float] = []
    for name in zoo.names(stepped=False):
        found = zoo.bundle(name, "loihi2-microcode").report["tables"]["populations"]
        plane[name] = tuple(max(p[key] for p in found.values()) for key in ("max_error_steps", "rms_error_steps"))
        tables += [p["tried"]["cotangent"]["max_error_steps"] for p in found.values()]
    for name, (largest, rms) in plane.items():
        print(f"{name}: plane vectors, largest {largest:.2g} steps, RMS {rms:.2g}")
    print(f"tables: {min(tables):.2g} to {max(tables):.2g} steps")


def results() -> None:
    """Relative L2 distance of the engine's results from the float network's."""
    for name, experiment in trials().items():
        task, network, own = experiment.qif_task, zoo.network(name), zoo.bundle(name)
        x = task.raw(task.test_set().x)
        x = x[np.linspace(0, len(x) - 1, min(MOST, len(x))).round().astype(int)]
        exact = reference.run(network, x).y
        if (
            all(isinstance(p.ptc, CotangentTables) for p in own.program.populations)
            and own.report["tables"]["lateness_moments"] == 1
        ):
            tables = own
        else:
            tables = qif.compiled(network, task, form="cotangent")
        small, other = (
            float(np.linalg.norm(bundle.run(x).y - exact) / np.linalg.norm(exact))
            for bundle in (zoo.bundle(name, "loihi2-microcode"), tables)
        )
        print(f"| {name} | {100 * small:.2g} % | {100 * other:.2g} % | {small / other:.2f} |", flush=True)


if __name__ == "__main__":
    kicks()
    results()
