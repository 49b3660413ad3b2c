"""Mutation testing of compiler, engine and parity: ``python tests/mutation/run.py`` (or ``make mutants``).

Each mutant, a small change of one source file, is made in a copy of the tree that shares the machine code of all other
kernels, and the tests that cover the file must fail.  The mutants are the first of a random order that the seed fixes.
Outcomes are appended to ``results.jsonl``, so that a run that is stopped goes on with the next one; those of functions
that have changed since do not count.  Survivors that change nothing stand in ``equivalent.txt`` with the reason.

Not mutmut, which chooses a mutant when the program runs: compiled kernels do not see that.  Not cosmic-ray, which has
one command for the tests of all files, and changes the tree in place.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from covering import files, tests  # noqa: E402
from mutants import Mutant, sample  # noqa: E402

ROOT = HERE.parents[1]
RESULTS = HERE / "results.jsonl"
EQUIVALENT = HERE / "equivalent.txt"
WORK = ROOT / "out" / "mutation"
"""Holds the copies; the one without a change stays, with its machine code."""
CACHE = ".cache"
"""Folder of a copy for machine code: what mutants compile goes with them."""
PACKAGES = ("qif2hw", "cli", "hw_models", "deploy")
COMPILING = 150.0
"""Seconds of processor time that a mutant may take to compile kernels anew, beyond thrice what its tests take."""
MEMORY = 16 << 20
"""Most that a process may map, in kB."""


class Outcome(NamedTuple):
    """What the tests say of a tree: ``survived``, ``killed`` or ``timeout``, by what, after how much processor time."""

    name: str
    by: str
    seconds: float


def copy(root: Path, folder: Path) -> None:
    """Copy what git would keep, or bring a copy up to date; beside it lies the machine code of its kernels."""
    asked = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split("\0")
    sources = {root / name for name in names if (root / name).is_file()}
    for old in [p for p in folder.rglob("*") if p.is_file() and not {"__pycache__", CACHE} & {*p.parts}]:
        if root / old.relative_to(folder) not in sources:
            old.unlink()
    for path in sources:
        there = folder / path.relative_to(root)
        if not there.exists() or path.read_bytes() != there.read_bytes():
            there.parent.mkdir(parents=True, exist_ok=True)
            there.unlink(missing_ok=True)
            shutil.copy2(path, there)


def linked(base: Path, folder: Path) -> None:
    """Make a copy by links: whoever writes one of its files replaces it, as Python and numba do."""
    shutil.copytree(base, folder, copy_function=os.link)


def write(base: Path, folder: Path, mutant: Mutant) -> None:
    """Change one file of a linked copy."""
    (folder / mutant.file).unlink()
    (folder / mutant.file).write_bytes(mutant.apply((base / mutant.file).read_bytes()))


def judge(folder: Path, chosen: tuple[str, ...], seconds: float, patience: float, started: set[int]) -> Outcome:
    """Run tests in a tree until one fails: ``seconds`` of processor time, ``patience`` times that by the clock."""
    paths = [str(folder), *(str(folder / name) for name in PACKAGES[1:])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}
    environment |= {"XDG_CACHE_HOME": str(folder / CACHE), "NUMBA_CACHE_DIR": ""}
    environment |= dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    limited = f'ulimit -t {int(seconds)}; ulimit -v {MEMORY}; exec "$@"'
    options = ["-x", "-q", "-m", "not slow and not lava", "-p", "no:cacheprovider", f"--timeout={patience * seconds}"]
    pytest = [sys.executable, "-m", "pytest", *options, "--hypothesis-seed=0", "--tb=line", *chosen]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            ["sh", "-c", limited, "sh", *pytest],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started.add(process.pid)
        code, used = _end(process, time.monotonic() + patience * seconds)
        started.discard(process.pid)
        said.seek(0)
        output = said.read()
    if code == 0:
        return Outcome("survived", "", used)
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return Outcome("timeout", f"{seconds:.0f} s", used)
    if code == 5:
        raise SystemExit(f"{' '.join(chosen)}: no test was run\n{output}")
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return Outcome("killed", failed[1] if failed else f"exit code {code}", used)


def _end(process: "subprocess.Popen[str]", end: float) -> tuple[int, float]:
    """Exit code and processor time of a process, which is killed with its children at a time by the clock."""
    late = False
    while True:
        found, status, usage = os.wait4(process.pid, 0 if late else os.WNOHANG)
        if found:
            break
        late = time.monotonic() > end
        if late:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            time.sleep(0.05)
    with suppress(ProcessLookupError):  # of what it has left behind
        os.killpg(process.pid, signal.SIGKILL)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


class Baseline:
    """Processor time of tests on the tree as it is, which must pass; kept while nothing changes."""

    def __init__(self, base: Path, patience: float, started: set[int]) -> None:
        self.base, self.patience, self.started = base, patience, started
        self.lock = threading.Lock()
        whole = hashlib.sha256()
        for path in sorted(p for top in (*PACKAGES, "tests") for p in (base / top).rglob("*.py")):
            whole.update(path.read_bytes())
        self.path = base.parent / "times.json"
        self.known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            self.known = json.loads(self.path.read_text())
        if self.known.get("tree") != whole.hexdigest():
            self.known = {"tree": whole.hexdigest()}

    def __call__(self, chosen: tuple[str, ...]) -> float:
        """Seconds that these tests take; they are run if that is not known."""
        with self.lock:
            name = " ".join(chosen)
            if name not in self.known:
                found = judge(self.base, chosen, 1200, self.patience, self.started)
                if found.name != "survived":
                    raise SystemExit(f"without a change, too: {found.by} fails")
                self.known[name] = found.seconds
                print(f"{found.seconds:5.0f} s  {name}", flush=True)
                self.path.write_text(json.dumps(self.known))
            return float(self.known[name])


def outcomes() -> dict[str, dict[str, Any]]:
    """What is known, by mutant: the last time counts."""
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    return {row["id"]: row for row in rows}


def reasons() -> dict[str, str]:
    """Why survivors are no gaps, by mutant."""
    lines = EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []
    return {name: reason for name, _, reason in (line.partition(" ") for line in lines if line and line[0] != "#")}


def run(todo: list[Mutant], processes: int, hours: float, patience: float, given: float | None) -> None:
    """Try mutants and append what comes of them; with a ``given`` limit the tests are not tried without a change."""
    end, lock, over, started = time.monotonic() + 3600 * hours, threading.Lock(), threading.Event(), set[int]()
    base = WORK / "base"
    copy(ROOT, base)
    times = Baseline(base, patience, started)

    def attempt(mutant: Mutant) -> None:
        if time.monotonic() > end:
            return
        chosen = tests(mutant.file)
        limit, folder = given or 3 * times(chosen) + COMPILING, WORK / mutant.id
        shutil.rmtree(folder, ignore_errors=True)
        linked(base, folder)
        write(base, folder, mutant)
        found = judge(folder, chosen, limit, patience, started)
        shutil.rmtree(folder, ignore_errors=True)
        if over.is_set():
            return
        before, after = mutant.lines((base / mutant.file).read_bytes())
        row = {"id": mutant.id, "file": mutant.file, "scope": mutant.scope, "line": mutant.line, "before": before}
        row |= {"after": after, "outcome": found.name, "by": found.by, "seconds": round(found.seconds)}
        with lock, RESULTS.open("a") as file:
            file.write(json.dumps(row) + "\n")
            print(f"{found.name:9}{mutant.file}:{mutant.line}: {before}  ->  {after}", flush=True)

    pool = ThreadPoolExecutor(processes)
    waiting = [pool.submit(attempt, mutant) for mutant in todo]
    try:
        for one in waiting:
            one.result()
    finally:
        over.set()
        pool.shutdown(wait=False, cancel_futures=True)
        while not all(one.done() for one in waiting):  # what a baseline was waiting for begins when that ends
            for process in list(started):
                with suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGKILL)
            time.sleep(0.1)


def report(chosen: list[Mutant]) -> float:
    """Print what is known of mutants, the survivors with their change; returns the share that was killed."""
    known, excused = outcomes(), reasons()
    rows = [known[mutant.id] for mutant in chosen if mutant.id in known]
    count = Counter(row["outcome"] for row in rows)
    for row in rows:
        if row["outcome"] == "survived":
            print(f"\n{row['id']} {row['file']}:{row['line']} {row['scope']}\n- {row['before']}\n+ {row['after']}")
            print(f"  {excused.get(row['id'], 'no reason is known')}")
    killed = count["killed"] + count["timeout"]
    share = killed / len(rows) if rows else 0.0
    equal = sum(row["outcome"] == "survived" and row["id"] in excused for row in rows)
    print(
        f"\n{len(rows)} of {len(chosen)} mutants tried: {killed} killed ({100 * share:.1f} %), "
        f"{count['timeout']} of them by their time; {count['survived']} survived, {equal} of them for a reason"
    )
    return share


def main() -> int:
    """Run what is not known yet; 1 if fewer are killed than asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300, help="size of the sample (default 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the random order")
    parser.add_argument("--files", help="only files whose path holds this")
    parser.add_argument("--processes", type=int, default=2, help="that test at once (default 2)")
    parser.add_argument("--hours", type=float, default=3.0, help="begin no mutant after this time (default 3)")
    parser.add_argument("--patience", type=float, default=3.0, help="time by the clock per processor time (default 3)")
    parser.add_argument(
        "--limit", type=float, help="seconds of processor time; default: by that of the tests as they are"
    )
    parser.add_argument("--again", action="store_true", help="try survivors without a reason again")
    parser.add_argument("--list", action="store_true", help="run nothing, show what is known")
    parser.add_argument("--least", type=float, default=0.85, help="share that must be killed (default 0.85)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = [m for m in sample(ROOT, files(ROOT), given.seed) if (given.files or "") in m.file][: given.mutants]
    known, excused = outcomes(), reasons()
    if not given.list:
        again = {name for name, row in known.items() if given.again and row["outcome"] == "survived"} - set(excused)
        run(
            [m for m in chosen if m.id not in known or m.id in again],
            given.processes,
            given.hours,
            given.patience,
            given.limit,
        )
    return 0 if report(chosen) >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
