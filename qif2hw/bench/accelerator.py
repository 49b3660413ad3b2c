"""Speed of training on a CUDA device against this machine's processor: event-driven networks, and in time steps."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qif2hw.bench.result import Figure
from qif2hw.bench.timing import Timing, measure
from qif2hw.errors import InputError
from qif2hw.host import machine
from qif2hw.nn.discrete import Accumulate
from qif2hw.nn.functional import cuda_device
from qif2hw.nn.layer import Route
from qif2hw.nn.models import neurons, threshold_norm
from qif2hw.nn.network import QIFNetwork
from qif2hw.train.classify.update import CapturedUpdate, Update, optimizer_of
from qif2hw.train.memory import keep_pages

SIZES = (784, 400, 400, 10)
BATCH = 1024
TIME_STEPS = 4
COPIED = 2**28
"""Bytes that are copied to measure the device's memory."""


def check_device() -> str:
    """Name of the CUDA device; `InputError` if there is none that kernels can be compiled for."""
    if not torch.cuda.is_available():
        raise InputError("no CUDA device: torch finds none on this machine")
    if cuda_device.problem():
        raise InputError(f"kernels cannot be compiled for the CUDA device: {cuda_device.problem()}")
    return torch.cuda.get_device_name()


def bench(
    *, batch: int = BATCH, seconds: float = 2.0, progress: Callable[[int, int, str], None] | None = None
) -> dict[str, Any]:
    """Measure forward and backward passes of an event-driven network, and an optimiser step of one in time steps.

    Returns
    -------
    dict
        ``machine``, with the name of the ``device`` and the bytes that it copies per second (read and written);
        ``rows``: of each ``work`` and element type the milliseconds on the processor and on the device (median and
        quartiles), the time of the processor over that of the device, and, where the results were compared, the largest
        ``differences`` of spike times, and of gradients relative to the largest.
    """
    keep_pages()
    name = check_device()
    works: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        ("event-driven, float32", lambda: _event_driven(batch, torch.float32, seconds)),
        ("event-driven, float64", lambda: _event_driven(batch, torch.float64, seconds)),
        ("in time steps, float32", lambda: _stepped(batch, seconds)),
    ]
    rows = []
    for done, (work, run) in enumerate(works):
        if progress is not None:
            progress(done, len(works), work)
        rows.append({"work": work, "network": "-".join(map(str, SIZES)), "batch": batch, **run()})
    return {"machine": {**machine(), "device": name, "bytes_per_s": _bandwidth()}, "rows": rows}


def figures(result: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a result of `bench`, for `qif2hw.bench.result`."""
    found = {}
    for row in result["rows"]:
        for where in "processor", "device":
            found[f"{row['work']}, {where}"] = Figure(row["ms"][where], "ms")
        found[f"{row['work']}, processor against device"] = Figure(row["ratio"], "ratio")
    return found


def _row(processor: Timing, device: Timing) -> dict[str, Any]:
    both = {"processor": processor, "device": device}
    return {
        "ms": {where: timing.median for where, timing in both.items()},
        "ms_quartiles": {where: list(timing.quartiles) for where, timing in both.items()},
        "ratio": processor.median / device.median,
    }


def _finished(call: Callable[[], Any]) -> Callable[[], None]:
    """A call that ends when the device has done its work."""

    def run() -> None:
        call()
        torch.cuda.synchronize()

    return run


def _event_driven(batch: int, dtype: torch.dtype, seconds: float) -> dict[str, Any]:
    x = torch.rand((batch, SIZES[0]), generator=torch.Generator().manual_seed(0), dtype=dtype)

    def passes(device: str, path: Route) -> tuple[Callable[[], None], Callable[[], list[Tensor]]]:
        network, values = QIFNetwork(SIZES, seed=0, dtype=dtype).to(device), x.to(device)

        def both() -> None:
            network.zero_grad()
            network.run(values, path=path).y.square().sum().backward()

        def results() -> list[Tensor]:
            both()
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            return [t.detach().cpu() for t in (network.run(values, path=path).first, *gradients)]

        return both, results

    here, there = passes("cpu", "kernel"), passes("cuda", "cuda")
    mine, other, again = here[1](), there[1](), there[1]()
    row = _row(measure(here[0], seconds), measure(_finished(there[0]), seconds))
    relative = [float((a - b).abs().max() / a.abs().max()) for a, b in zip(mine[1:], other[1:], strict=True)]
    row["differences"] = {"times": float((mine[0] - other[0]).abs().max()), "gradients": max(relative)}
    row["repeated_bits"] = all(torch.equal(a, b) for a, b in zip(other, again, strict=True))
    return row


def _stepped(batch: int, seconds: float) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((batch, SIZES[0]), generator=generator)
    label = torch.randint(0, SIZES[-1], (batch,), generator=generator)

    def step(device: str, kind: type[Update]) -> Callable[[], Tensor]:
        torch.manual_seed(0)
        make = neurons(time_steps=TIME_STEPS)
        layers: list[nn.Module] = []
        for k, (pre, post) in enumerate(pairwise(SIZES[:-1])):
            layer = make(hold=k == 0)
            layers += [nn.Linear(pre, post, bias=False), threshold_norm(post, layer.neuron.threshold, flat=True), layer]
        module = nn.Sequential(*layers, nn.Linear(*SIZES[-2:]), Accumulate(TIME_STEPS)).to(device).train()
        update = kind(
            module, lambda x, y: F.cross_entropy(module(x), y), optimizer_of(module, 0.0, torch.device(device))
        )
        images, labels = x.to(device), label.to(device)
        return lambda: update(images, labels, 0.0)

    here, there = step("cpu", Update), _finished(step("cuda", CapturedUpdate))
    return _row(measure(here, seconds), measure(there, seconds))


def _bandwidth() -> float:
    source = torch.empty(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    timing = measure(_finished(lambda: [target.copy_(source) for _ in range(10)]), 0.5)
    return 20 * COPIED / timing.median * 1e3
