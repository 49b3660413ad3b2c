"""ResNet-19 and VGGSNN: one training step, export, compile, cores and chips, two images on the engine.

    python scripts/published_networks.py [resnet19] [vggsnn]

docs/stepped.md has what this prints; their training needs GPUs.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

import qif2hw
from qif2hw.nn import export
from qif2hw.nn.models import neurons, resnet19, vggsnn

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "resnet19": (lambda: resnet19(neurons(time_steps=4)), (3, 32, 32), 4),
    "vggsnn": (lambda: vggsnn(neurons(time_steps=10)), (2, 48, 48), 10),
}
"""Module, shape of an image or of a frame of events, and time steps."""


def main(name: str) -> None:
    """Take one network all the way."""
    begin = time.perf_counter()
    torch.manual_seed(0)
    build, shape, steps = NETWORKS[name]
    model, rng = build(), np.random.default_rng(0)
    x = rng.random((2, *shape)) if name == "resnet19" else rng.poisson(0.1, (2, steps, *shape)).astype(float)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    nn.functional.cross_entropy(model(torch.from_numpy(x).float()), torch.tensor([0, 1])).backward()
    optimizer.step()
    network = export(model.eval(), input_shape=shape, time_steps=steps)
    bundle = qif2hw.compile(network, calibration=x)
    run, fit = bundle.run(x), bundle.report["fit"]
    weights = sum(p.weight.size for p in bundle.program.projections)
    neurons_ = sum(p.size for p in bundle.program.populations)
    chips = -(-fit["cores"] // fit["core_limit"])
    print(
        f"{name}: {weights:,} weights, {neurons_:,} neurons, {bundle.program.synapse_count:,} synapses; {fit['cores']} "
        f"cores, {chips} chips of {fit['core_limit']} (target {fit['target']}); {len(x)} images on the engine in "
        f"{run.seconds:.1f} s, all in {time.perf_counter() - begin:.0f} s and "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"
    )


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NETWORKS:
        main(chosen)
