"""Repeated timings of calls: medians, and ratios of calls in turns."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Timing(NamedTuple):
    """Milliseconds of a call: the median of its repetitions, the least, and the first and third quartile."""

    median: float
    least: float
    quartiles: tuple[float, float]


def measure(call: Callable[[], Any], seconds: float) -> Timing:
    """Time a call, repeated for about ``seconds``, after one call that may compile."""
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begin < seconds and len(times) < 5000):
        now = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - now))
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(statistics.median(times), min(times), (low, high))


def ratio(peer: Callable[[], Any], ours: Callable[[], Any], seconds: float) -> float:
    """Median time of ``peer`` over that of ``ours``, in turns of equal length: what slows this machine slows both."""
    peer()
    ours()
    theirs: list[float] = []
    mine: list[float] = []
    begin = time.perf_counter()
    while len(theirs) < 5 or (time.perf_counter() - begin < seconds and len(theirs) < 1000):
        now = time.perf_counter()
        peer()
        theirs.append(time.perf_counter() - now)
        turn = time.perf_counter()
        while time.perf_counter() - turn < theirs[-1]:
            now = time.perf_counter()
            ours()
            mine.append(time.perf_counter() - now)
    return statistics.median(theirs) / statistics.median(mine)


def medians(calls: Mapping[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call; all are run in turn, so that other load on the machine affects all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


class Cost(NamedTuple):
    """Seconds of a call: by the clock, and of all cores together, those of child processes that have ended included."""

    wall: float
    cpu: float


def cost(call: Callable[[], Any]) -> Cost:
    """What one call takes."""
    wall, cpu = time.perf_counter(), _cpu()
    call()
    return Cost(time.perf_counter() - wall, _cpu() - cpu)


def costs(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Cost]:
    """Medians of `cost`; all calls are repeated in turn for about ``seconds``, after one call each that may compile."""
    found: dict[str, list[Cost]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    begin, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - begin < seconds:
        for name, call in calls.items():
            found[name].append(cost(call))
        rounds += 1
    return {name: Cost(*map(statistics.median, zip(*each, strict=True))) for name, each in found.items()}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + usage.ru_utime + usage.ru_stime
