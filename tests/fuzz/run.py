"""Fuzz every format that is read: ``python tests/fuzz/run.py --cases 1000000``.

A case is a format and a seed.  It must end well or in an `InputError` of one line, in bounded time and memory.  Cases
that do not are printed as ``FORMAT SEED``; those in ``kept.txt`` are tried first, always.
"""

import argparse
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "slayer")]

import formats  # noqa: E402

from qif2hw.errors import InputError  # noqa: E402

SECONDS = 10
"""Most for a case, of processor time: other programs may be at work."""
MEMORY = 1 << 30
"""Most that a case may allocate."""
KEPT = HERE / "kept.txt"
"""Cases that failed once."""


class TooSlow(Exception):
    """A case took too long."""


def _alarm(*_: Any) -> None:
    raise TooSlow(f"it takes more than {SECONDS} s")


def limit_memory() -> None:
    """Let allocations fail that go beyond what is used now and `MEMORY`."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))


def outcome(one: formats.Format, seed: int, folder: Path) -> str:
    """What is wrong with a case; empty if nothing is."""
    path = folder / f"case{one.ending}"
    data = one.case(seed)
    path.write_bytes(data)
    (folder / "now").write_text(f"{one.name} {seed}")
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.use(path)
    except InputError as error:
        return "" if len(str(error).splitlines()) == 1 else f"an error of several lines: {error!r}"
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return ""


def kept() -> list[tuple[str, int]]:
    """Cases that failed once."""
    lines = KEPT.read_text().split("\n") if KEPT.exists() else []
    return [(name, int(seed)) for name, seed in (line.split() for line in lines if line and not line.startswith("#"))]


def main() -> int:
    """Run the cases; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="number of cases, of all formats together")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--format", help="one format only")
    given = parser.parse_args()
    every = formats.formats()
    for one in every.values():
        _ = one.valid
    chosen = [every[given.format]] if given.format else list(every.values())
    queue = [(every[name], seed) for name, seed in kept() if name in every]
    signal.signal(signal.SIGPROF, _alarm)
    limit_memory()
    failed, done, slowest, start = 0, 0, 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        while done < given.cases + len(queue) and time.monotonic() - start < given.seconds:
            fresh = done - len(queue)
            one, seed = queue[done] if fresh < 0 else (chosen[fresh % len(chosen)], given.first + fresh // len(chosen))
            begin = time.monotonic()
            wrong = outcome(one, seed, Path(name))
            slowest = max(slowest, time.monotonic() - begin)
            done += 1
            if wrong:
                failed += 1
                print(f"{one.name} {seed}: {wrong}", flush=True)
    print(f"{done} cases, {failed} failed, the slowest took {slowest:.2f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
