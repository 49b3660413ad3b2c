"""Results of another machine beside a kit: the first difference."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qif2hw.bundle.container import MAX_BYTES, from_json
from qif2hw.conformance.kit import FORMAT, SCHEMA, SPIKES, output_columns
from qif2hw.conformance.rows import read_csv
from qif2hw.conformance.traces import TRACE
from qif2hw.errors import InputError
from qif2hw.estimate.counts import COUNTERS
from qif2hw.files import read_bytes

MOST_NEURONS = 1 << 20
"""Most output neurons of a kit."""


@dataclass(frozen=True)
class Part:
    """One file of the results.

    Parameters
    ----------
    name
        ``traces``, ``spikes``, ``outputs`` or ``counters``.
    rows
        How many rows must agree; 0 if there is no such file.
    difference
        The first difference; empty if there is none.
    given
        Whether the file is there.
    """

    name: str
    rows: int
    difference: str
    given: bool = True


@dataclass(frozen=True)
class Outcome:
    """What a check found, in the order of the first-light protocol."""

    parts: tuple[Part, ...]

    @property
    def first(self) -> str:
        """The first difference of all; empty if there is none."""
        return next((part.difference for part in self.parts if part.difference), "")

    @property
    def ok(self) -> bool:
        """Whether all that is there is equal."""
        return not self.first

    @property
    def missing(self) -> tuple[str, ...]:
        """Files that are not there."""
        return tuple(part.name for part in self.parts if not part.given)


def check(kit: Path, results: Path) -> Outcome:
    """Compare the files of a folder with those of a kit.

    Parameters
    ----------
    kit
        The folder that `qif2hw.conformance.make_kit` describes.
    results
        A folder with any of ``traces.csv``, ``spikes.csv``, ``outputs.csv`` and ``counters.json``.

    Raises
    ------
    InputError
        If the kit is none or damaged, a file of the results has another form, or there is none.
    """
    about = _about(kit)
    if not results.is_dir():
        raise InputError(f"{results}: no folder of results")
    found = []
    for name, (suffix, compare) in _PARTS.items():
        path = results / f"{name}{suffix}"
        if not path.exists():
            found.append(Part(name, 0, "", given=False))
            continue
        rows, difference = compare(_verified(kit, f"golden_{name}{suffix}", about), path, about)
        found.append(Part(name, rows, difference))
    if not any(part.given for part in found):
        names = ", ".join(f"{name}{suffix}" for name, (suffix, _) in _PARTS.items())
        raise InputError(f"{results}: none of {names} is there")
    return Outcome(tuple(found))


def _about(kit: Path) -> dict[str, Any]:
    path = kit / "kit.json"
    if not path.is_file():
        raise InputError(f"{kit}: no conformance kit, kit.json is missing")
    try:
        about = from_json(read_bytes(path, MAX_BYTES))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if about.get("format") != FORMAT or about.get("schema") != SCHEMA or not isinstance(about.get("files"), dict):
        raise InputError(f"{path}: no {FORMAT} of schema {SCHEMA}")
    if not _complete(about):
        raise InputError(f"{path}: damaged")
    return about


def _complete(about: Mapping[str, Any]) -> bool:
    """Whether all that is asked of the kit is there."""
    for name, keys in (
        ("populations", {"name"}),
        ("outputs", {"neurons"}),
        ("traces", {"trace", "population", "neuron"}),
    ):
        listed = about.get(name)
        if not isinstance(listed, list) or not all(isinstance(one, dict) and keys <= {*one} for one in listed):
            return False
    numbers = [o["neurons"] for o in about["outputs"]] + [t["population"] for t in about["traces"]]
    names = [p["name"] for p in about["populations"]]
    return (
        all(type(n) is int and n >= 0 for n in numbers)
        and all(t["population"] < len(names) for t in about["traces"])
        and sum(o["neurons"] for o in about["outputs"]) <= MOST_NEURONS
    )


def _verified(kit: Path, name: str, about: Mapping[str, Any]) -> Path:
    path = kit / name
    if not path.is_file() or hashlib.sha256(read_bytes(path, MAX_BYTES)).hexdigest() != about["files"].get(name):
        raise InputError(f"{path}: missing or changed since the kit was made")
    return path


def _first(due: NDArray[np.int64], got: NDArray[np.int64]) -> int | None:
    """Index of the first row that differs, None if there is none."""
    common = min(len(due), len(got))
    wrong = np.nonzero((due[:common] != got[:common]).any(axis=1))[0]
    if len(wrong):
        return int(wrong[0])
    return common if len(due) != len(got) else None


def _traces(golden: Path, path: Path, about: Mapping[str, Any]) -> tuple[int, str]:
    due, got = (_ordered(read_csv(p, TRACE), (0, 1)) for p in (golden, path))
    at = _first(due, got)
    if at is None:
        return len(due), ""
    row = due[min(at, len(due) - 1)] if at < len(due) else got[at]
    if at < len(due) and at < len(got) and tuple(got[at, :2]) < tuple(due[at, :2]):
        row = got[at]
    trace = next((t for t in about["traces"] if t["trace"] == row[0]), None)
    if trace is None:
        return len(due), f"traces: there is no trace {row[0]}"
    name = about["populations"][trace["population"]]["name"]
    where = f"trace {row[0]}, population '{name}', neuron {trace['neuron']}, local step {row[1]}"
    if at >= len(due) or at >= len(got) or (due[at, :2] != got[at, :2]).any():
        due_here = at < len(due) and tuple(row[:2]) == tuple(due[at, :2])
        return len(due), f"{where}: the step is {'missing' if due_here else 'given twice, or not due'}"
    column = int(np.nonzero(due[at] != got[at])[0][0])
    names = _register_names(_verified(golden.parent, "registers.json", about), trace["population"])
    register = names.get(TRACE[column], TRACE[column])
    return len(due), f"{where}, register {register}: {due[at, column]} is due, {got[at, column]} was found"


def _register_names(path: Path, population: int) -> dict[str, str]:
    registers = from_json(read_bytes(path, MAX_BYTES))["populations"][population]["neuron_registers"]
    return dict(zip(("first", "second"), (r["name"] for r in registers), strict=False))


def _spikes(golden: Path, path: Path, about: Mapping[str, Any]) -> tuple[int, str]:
    # In the order of time: what differs first may be the cause of what follows.
    due, got = (_ordered(read_csv(p, SPIKES), (0, 3, 1, 2, 4)) for p in (golden, path))
    at = _first(due, got)
    if at is None:
        return len(due), ""
    order = [0, 3, 1, 2, 4]
    rows = [tuple(rows[at, order]) if at < len(rows) else None for rows in (due, got)]
    wanted, found = rows
    first = min(row for row in rows if row is not None)
    populations = about["populations"]
    name = populations[first[2]]["name"] if 0 <= first[2] < len(populations) else f"number {first[2]}"
    where = f"sample {first[0]}, step {first[1]}, population '{name}', neuron {first[3]}"
    if wanted is not None and found is not None and wanted[:4] == found[:4]:
        return len(due), f"{where}, register lateness: {wanted[4]} is due, {found[4]} was found"
    missing = first == wanted
    return len(due), f"{where}, register flag: {'a spike is due, none was found' if missing else 'a spike is not due'}"


def _outputs(golden: Path, path: Path, about: Mapping[str, Any]) -> tuple[int, str]:
    columns = output_columns(sum(o["neurons"] for o in about["outputs"]))
    due, got = (read_csv(p, columns) for p in (golden, path))
    if len(due) != len(got):
        return len(due), f"outputs: {len(due)} samples are due, {len(got)} were found"
    at = _first(due, got)
    if at is None:
        return len(due), ""
    column = int(np.nonzero(due[at] != got[at])[0][0])
    register = ("step", "lateness", "flush")[column % 3]
    return len(due), (
        f"outputs: sample {at}, output neuron {column // 3}, register {register}: {due[at, column]} is due, "
        f"{got[at, column]} was found"
    )


def _counters(golden: Path, path: Path, about: Mapping[str, Any]) -> tuple[int, str]:
    del about
    tables = []
    for p in (golden, path):
        try:
            cores = from_json(read_bytes(p, MAX_BYTES)).get("cores")
        except InputError as error:
            raise InputError(f"{p}: {error}") from None
        if not isinstance(cores, list) or not all(isinstance(core, dict) for core in cores):
            raise InputError(f"{p}: a list 'cores' of objects is needed")
        tables.append(cores)
    due, got = tables
    if len(due) != len(got):
        return len(due), f"counters: {len(due)} cores are due, {len(got)} were found"
    for k, (wanted, found) in enumerate(zip(due, got, strict=True)):
        for counter in COUNTERS:
            if wanted[counter] != found.get(counter):
                return len(due), (
                    f"counters: core {k} (population '{wanted['population']}', neurons {wanted['first']} to "
                    f"{wanted['stop'] - 1}), {counter}: {wanted[counter]} is due, {found.get(counter)} was found"
                )
    return len(due), ""


def _ordered(rows: NDArray[np.int64], keys: tuple[int, ...]) -> NDArray[np.int64]:
    return rows[np.lexsort(tuple(rows[:, key] for key in reversed(keys)))]


_PARTS: dict[str, tuple[str, Callable[[Path, Path, Mapping[str, Any]], tuple[int, str]]]] = {
    "traces": (".csv", _traces),
    "spikes": (".csv", _spikes),
    "outputs": (".csv", _outputs),
    "counters": (".json", _counters),
}
