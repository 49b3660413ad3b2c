"""Images per second of networks in time steps: the integer engine, torch, and the integer machine on Lava.

Two networks of 4 time steps with random weights.  The first is 16C3-P2-32C3-P2-256-10 on 28 x 28 images: engine, torch
with compiled neurons, torch with plain ones, and the fused Lava Process.  The second, `qif2hw.bench.slayer_twin`, is
one that lava-dl's netx can run: engine, SLAYER and netx.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qif2hw import api, backends
from qif2hw.bench.result import Figure
from qif2hw.bench.slayer_twin import NAME as TWIN
from qif2hw.bench.slayer_twin import spike_images, twin
from qif2hw.bench.timing import Cost, cost, costs
from qif2hw.bundle import SteppedBundle
from qif2hw.discrete import SteppedQIF
from qif2hw.errors import BackendError, InputError
from qif2hw.host import machine
from qif2hw.nn import export
from qif2hw.nn.discrete import SteppedNeurons
from qif2hw.nn.functional.discrete import eager_steps
from qif2hw.nn.models import neurons, small_conv

NETWORK = "16C3-P2-32C3-P2-256-10"
"""The first network."""
STEPS = 4
"""Time steps of both."""

Progress = Callable[[int, int, str], None]


class Effort(NamedTuple):
    """How much is measured: samples of a repetition, seconds of repetitions, samples of two runs of Lava and netx."""

    samples: int = 1024
    seconds: float = 10.0
    lava: tuple[int, int] = (64, 576)
    netx: tuple[int, int] = (1, 9)


QUICK = Effort(256, 1.0, (16, 144), (1, 4))
"""Good for a look, not for a number to quote."""


class EagerNeurons(nn.Module):
    """The neurons of a layer in plain torch operations, step by step."""

    def __init__(self, layer: SteppedNeurons) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Spikes (T N, ...) of inputs (T N, ...), or (N, ...) where the layer holds them."""
        layer, steps = self.layer, self.layer.time_steps
        assert steps is not None
        given = x.unsqueeze(0) if layer.hold else x.unflatten(0, (steps, len(x) // steps))
        state = torch.full_like(given[0], layer.neuron.reset)
        vector = layer.parameter_vector()
        return eager_steps(given, state, vector, steps=steps, window=layer.half_widths(steps))[0].flatten(0, 1)


def bench(
    effort: Effort | None = None, *, batch: int = 128, peers: bool = True, progress: Progress | None = None
) -> dict[str, Any]:
    """Measure; ways within one process in turns, so that other load on the machine slows all of them.

    Parameters
    ----------
    effort
        How much; `Effort` where not given.
    batch
        Images that torch takes at once; the engine takes blocks of 128 or fewer.
    peers
        Measure Lava, SLAYER and netx too, where they are installed.
    progress
        Called with what is done, the number of measurements, and the next one.

    Returns
    -------
    dict
        ``machine``; ``rows``: network, what runs it, milliseconds of an image by the clock and of all cores, images per
        second, spikes of an image; ``ratios`` of times by the clock and of all cores; ``absent``: what was not
        measured, and why.

    Raises
    ------
    InputError
        If ``batch`` is below 1.
    BackendError
        If SLAYER or netx gives other spikes than the engine.
    """
    if batch < 1:
        raise InputError(f"batch = {batch}: at least one image is needed")
    effort, threads = effort or Effort(), torch.get_num_threads()
    torch.set_num_threads(numba.get_num_threads())
    measured: dict[tuple[str, str], Cost] = {}
    absent: dict[str, str] = {}
    spikes: dict[str, float] = {}
    try:
        note = progress or (lambda done, of, what: None)
        note(0, 3, NETWORK)
        spikes[NETWORK] = _small_conv(effort, batch, measured, absent if peers else None, note)
        if peers and _lava_dl_is_there():
            note(2, 3, TWIN)
            spikes[TWIN] = _twin(effort, measured)
        else:
            absent["SLAYER, netx"] = "lava-dl is not installed" if peers else "not asked for"
    finally:
        torch.set_num_threads(threads)
    rows = [
        {
            "network": network, "what": what, "ms_per_image": 1e3 * c.wall, "cpu_ms_per_image": 1e3 * c.cpu,
            "images_per_s": 1 / c.wall, "spikes_per_image": spikes[network],
        }
        for (network, what), c in measured.items()
    ]  # fmt: skip
    ratios = {
        f"{what} against engine, {network}": {"wall": c.wall / ours.wall, "cpu": c.cpu / ours.cpu}
        for (network, what), c in measured.items()
        for ours in [measured[network, "engine"]]
        if what != "engine"
    }
    return {"machine": machine(), "steps": STEPS, "batch": batch, "rows": rows, "ratios": ratios, "absent": absent}


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a result of `bench`, for `qif2hw.bench.result`."""
    found = {f"{r['network']}, {r['what']}": Figure(r["images_per_s"], "1/s") for r in result["rows"]}
    return found | {name: Figure(ratio["wall"], "ratio") for name, ratio in result["ratios"].items()}


def images(samples: int) -> NDArray[np.float32]:
    """Random images (samples, 1, 28, 28) of patches."""
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(samples, 1, 7, 7)).repeat(4, 2).repeat(4, 3)
    return (patches + 0.5 * rng.normal(size=(samples, 1, 28, 28))).astype(np.float32)


def network() -> tuple[nn.Sequential, SteppedBundle]:
    """The first network in evaluation mode, and compiled; batch norms have seen inputs."""
    x = images(256)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = small_conv(neurons(SteppedQIF(), time_steps=STEPS))
        for _ in range(30):
            model(torch.from_numpy(x))
    bundle = api.compile(export(model.eval(), input_shape=(1, 28, 28), time_steps=STEPS), calibration=x)
    assert isinstance(bundle, SteppedBundle)
    return model, bundle


def _small_conv(
    effort: Effort, batch: int, measured: dict[tuple[str, str], Cost], absent: dict[str, str] | None, note: Progress
) -> float:
    """Measure the first network; returns its spikes per image."""
    model, bundle = network()
    x = images(effort.samples)
    parts = torch.from_numpy(x).split(batch)
    eager = nn.Sequential(*(EagerNeurons(m) if isinstance(m, SteppedNeurons) else m for m in model))

    def run(module: nn.Module) -> None:
        with torch.inference_mode():
            for part in parts:
                module(part)

    ways: dict[str, Callable[[], Any]] = {
        "engine": lambda: bundle.run(x, keep="counts"),
        "torch, compiled neurons": lambda: run(model),
        "torch, plain neurons": lambda: run(eager),
    }
    for what, found in costs(ways, effort.seconds).items():
        measured[NETWORK, what] = _each(found, len(x))
    reason = backends.get("lava").missing()
    if absent is not None and reason is not None:
        absent["Lava, fused"] = reason
    elif absent is not None:
        note(1, 3, "Lava")
        more = images(max(effort.lava))
        found = _difference(lambda n: bundle.run(more[:n], "lava", keep="counts"), effort.lava)
        measured[NETWORK, "Lava, fused"] = found
    return sum(bundle.run(x, keep="counts").spikes_per_sample.values())


def _twin(effort: Effort, measured: dict[tuple[str, str], Cost]) -> float:
    """Measure the second network, and check that all give the same spikes; returns its spikes per image."""
    from qif2hw_slayer import netx_run
    from qif2hw_slayer.importer import import_network

    x = spike_images(effort.samples, STEPS)
    with tempfile.TemporaryDirectory(prefix="qif2hw-bench-") as folder:
        made = twin(Path(folder), STEPS)
        bundle = api.compile(import_network(made.path))
        few, many = effort.netx
        run = bundle.run(x[:many])
        on_netx = netx_run.run(made.path, x[:few])
        for spikes, expected in zip(on_netx, run.spikes.values(), strict=True):
            if not np.array_equal(spikes, expected[:few]):
                raise BackendError("netx gives other spikes than the engine")
        if not np.allclose(made.run(x[:many]).mean(dim=-1).numpy(), run.y):
            raise BackendError("SLAYER gives other spikes than the engine")
        ways: dict[str, Callable[[], Any]] = {
            "engine": lambda: bundle.run(x, keep="counts"),
            "SLAYER": lambda: made.run(x),
        }
        for what, found in costs(ways, effort.seconds).items():
            measured[TWIN, what] = _each(found, len(x))
        measured[TWIN, "netx"] = _difference(lambda n: netx_run.run(made.path, x[:n]), effort.netx)
        return sum(bundle.run(x, keep="counts").spikes_per_sample.values())


def _lava_dl_is_there() -> bool:
    if importlib.util.find_spec("h5py") is None:
        return False
    from qif2hw_slayer.netx_run import lava_dl_is_there

    return lava_dl_is_there()


def _each(found: Cost, samples: int) -> Cost:
    return Cost(found.wall / samples, found.cpu / samples)


def _difference(run: Callable[[int], Any], samples: tuple[int, int]) -> Cost:
    """What a further sample takes: the rest is the start of the processes."""
    few, many = (cost(partial(run, n)) for n in samples)
    between = samples[1] - samples[0]
    return Cost(max(many.wall - few.wall, 1e-9) / between, max(many.cpu - few.cpu, 1e-9) / between)
