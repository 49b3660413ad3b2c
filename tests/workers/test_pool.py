"""Workers: the same results, a lost one is replaced, an error is one line."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls import end, end_once, fail, nap, refuse, square, threads
from workers.test_shards import equal

from qif2hw import backends, parity
from qif2hw.errors import BackendError, InputError
from qif2hw.workers import Workers, shared, workers


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with workers("local", 2) as found:
        yield found


def test_order_and_threads(two: Workers) -> None:
    assert [*two.map(square, 10, range(20))] == [10 + k**2 for k in range(20)]
    for numba_threads, blas, process in two.map(threads, None, range(4)):
        assert numba_threads == 1
        assert blas <= {1}
        assert process != os.getpid()


def test_results_are_those_of_one_process(two: Workers, work: Any) -> None:
    bundle, x = work
    for name in ("engine", "reference"):
        seen: list[int] = []
        run = shared(backends.get(name), two).run(bundle, x, progress=lambda done, _, seen=seen: seen.append(done))
        equal(run, bundle.run(x, name))
        assert run.backend == name
        assert seen == [256, 512, 768, len(x)]
    able = [shared(backends.get(name), two) for name in ("reference", "engine")]
    limits: Any = None if hasattr(bundle.program, "grid") else parity.SteppedBounds(1, 1)
    found = parity.check(bundle, x, backends=able, bounds=limits)
    whole = parity.check(bundle, x, bounds=limits)
    assert [found.results, found.verdicts] == [whole.results, whole.verdicts]


def test_a_lost_worker_is_replaced(two: Workers, tmp_path: Path) -> None:
    assert [*two.map(end_once, tmp_path, range(8))] == [*range(8)]
    assert (tmp_path / "ended").exists()


@pytest.mark.long
def test_what_ends_every_worker_is_named(two: Workers) -> None:
    results = two.map(end, None, range(8))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BackendError, match=r"part 4 of 8: worker processes were ended 3 times \(out of memory\?\)"):
        next(results)
    assert [*two.map(square, 0, [2])] == [4]


def test_errors_come_back(two: Workers) -> None:
    with pytest.raises(InputError, match=r"^0 is wrong$"):
        [*two.map(refuse, None, range(3))]
    with pytest.raises(BackendError, match=r"^0 failed$"):
        [*two.map(fail, None, range(3))]


def test_one_process_is_this_one(layers: Any) -> None:
    with workers() as here:
        engine = backends.get("engine")
        assert shared(engine, here) is engine
        assert [*here.map(square, 1, [3])] == [10]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "moon"}, "no workers 'moon': local and dask are possible"),
        ({"jobs": 0}, "jobs = 0"),
        ({"kind": "dask"}, "needs? the address of a scheduler"),
        ({"kind": "dask", "scheduler": "tcp://127.0.0.1:9", "jobs": 2}, "jobs = 2: the workers of a Dask cluster"),
        ({"scheduler": "tcp://127.0.0.1:9"}, "local workers have none"),
    ],
)
def test_wrong_workers(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message), workers(**arguments):
        pass


def test_processes_end_with_their_owner() -> None:
    """At once where an error ends it, though they are at work: for far longer than a test may take."""
    ids: set[int] = set()

    def work() -> None:
        with workers("local", 2) as pool:
            ids.update(process for *_, process in pool.map(threads, None, range(4)))
            assert next(pool.map(nap, None, [0, 10_000, 10_000])) == 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    for process in ids:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
