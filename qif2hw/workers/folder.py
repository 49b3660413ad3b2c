"""A run over files: each shard is computed on its own, whenever and wherever, and joined with the others later."""

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qif2hw.backends import Backend, Execution, options_for
from qif2hw.errors import InputError
from qif2hw.files import check_writable, make_folder, read_bytes, write_bytes
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.program import Program
from qif2hw.ir.stepped import AnyRun, SteppedRun
from qif2hw.ir.stepped_program import SteppedProgram
from qif2hw.workers.run_file import from_bytes, to_bytes
from qif2hw.workers.shards import Shard, join, split

_FILE = re.compile(r"(?P<name>.+)-(?P<number>\d+)-of-(?P<count>\d+)\.run")
_LIMIT = 1 << 36


@dataclass(frozen=True)
class Piece:
    """What is run in shards.

    Parameters
    ----------
    name
        Of its files; no other piece of the same folder has it.
    backend
        Runs it.
    subject
        The program or network that the backend is given.
    options
        Options of the backend.
    """

    name: str
    backend: Backend
    subject: Any
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ShardFolder:
    """Files of shards in a folder, each with the digest of what it is the run of.

    Parameters
    ----------
    path
        The folder.
    bundle
        Digest of the bundle.
    program
        Its program.
    x
        All inputs, as `check_inputs` returns them.
    """

    path: Path
    bundle: str
    program: Program | SteppedProgram
    x: FloatArray

    def compute(
        self, pieces: Sequence[Piece], shard: Shard, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, bool]:
        """Run a shard of every piece, and write its file; by piece, whether it had to be run.

        A file of the same run that is there already is kept: whoever repeats a shard loses nothing.

        Raises
        ------
        InputError
            If there are fewer shards, or a file cannot be written.
        BackendError
            As the backend does.
        """
        part = self.x[shard.of(len(self.x))]
        make_folder(self.path)
        for piece in pieces:
            check_writable(self._file(piece.name, shard))
        new = {}
        for piece in pieces:
            path, key = self._file(piece.name, shard), self._key(piece, shard)
            new[piece.name] = not _holds(path, key)
            if new[piece.name]:
                how = piece.backend.execution(self.program)
                given = {**piece.options} if progress is None else {**piece.options, "progress": progress}
                write_bytes(path, to_bytes(how.execute(piece.subject, part, **options_for(how, given)), key))
        return new

    def backend(self, pieces: Sequence[Piece]) -> Backend:
        """The backend of these pieces, their runs read from the files.

        Raises
        ------
        InputError
            If a shard is missing, or is of another run; the message names all of them.
        """
        replay = _Replay(self, {piece.name: (piece, self._complete(piece)) for piece in pieces})
        own = pieces[0].backend
        return replace(
            own,
            execute=replay,
            missing=lambda: None,
            stepped=None if own.stepped is None else Execution(replay, own.stepped.options),
        )

    def _complete(self, piece: Piece) -> int:
        """How many shards a piece has, all of them there."""
        counts: dict[int, list[int]] = {}
        for path in sorted(self.path.glob("*.run")):
            found = _FILE.fullmatch(path.name)
            if found is not None and found["name"] == piece.name:
                counts.setdefault(int(found["count"]), []).append(int(found["number"]))
        if not counts:
            raise InputError(f"{self.path}: has no shard of {piece.name}: run them with --shard 1/N and so on")
        if len(counts) > 1:
            raise InputError(
                f"{self.path}: has shards of {' and of '.join(map(str, sorted(counts)))}: remove the others"
            )
        [(count, numbers)] = counts.items()
        missing = sorted({*range(1, count + 1)} - {*numbers})
        if missing:
            which = f"{listed(missing)} of {count} of {piece.name} {'is' if len(missing) == 1 else 'are'} missing"
            raise InputError(f"{self.path}: {which}: run {'it' if len(missing) == 1 else 'them'} with --shard")
        if len(split(len(self.x), count)) < count:
            raise InputError(f"{self.path}: has {count} shards of {piece.name}, more than these inputs have")
        return count

    def _read(self, piece: Piece, shard: Shard) -> AnyRun:
        path = self._file(piece.name, shard)
        try:
            run, key = from_bytes(read_bytes(path, _LIMIT))
        except InputError as error:
            raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}: run this shard again") from None
        if key != self._key(piece, shard) or len(run.y) != len(self.x[shard.of(len(self.x))]):
            raise InputError(f"{path}: of another bundle, other inputs or options: run this shard again")
        return run

    def _file(self, name: str, shard: Shard) -> Path:
        return self.path / f"{name}-{shard.number}-of-{shard.count}.run"

    def _key(self, piece: Piece, shard: Shard) -> str:
        part = self.x[shard.of(len(self.x))]
        options = {name: value for name, value in piece.options.items() if name not in ("timeout", "progress")}
        about = [importlib.metadata.version("qif2hw"), self.bundle, piece.name, str(shard), part.shape, options]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        digest.update(part.astype("<f8").tobytes())
        return digest.hexdigest()


class _Replay:
    """Runs of one backend, read from files, for callers that ask for one block of samples after the other."""

    def __init__(self, folder: ShardFolder, pieces: dict[str, tuple[Piece, int]]) -> None:
        self.folder = folder
        self.pieces = pieces
        self.at = dict.fromkeys(pieces, 0)
        self.last: tuple[str, int, AnyRun] | None = None

    def __call__(self, subject: Any, x: FloatArray, **_: Any) -> Any:
        piece, count = next(found for found in self.pieces.values() if found[0].subject == subject)
        samples = len(self.folder.x)
        low = self.at[piece.name]
        high = low + len(x)
        self.at[piece.name] = high % samples
        runs = []
        for k, part in enumerate(split(samples, count)):
            if part.start < high and part.stop > low:
                run = _cut(self._shard(piece, Shard(k + 1, count)), low - part.start, high - part.start)
                runs.append((max(part.start, low) - low, run))
        return join(runs)

    def _shard(self, piece: Piece, shard: Shard) -> AnyRun:
        """One shard; the last one is kept, because the next block may begin in it."""
        if self.last is None or self.last[:2] != (piece.name, shard.number):
            self.last = (piece.name, shard.number, self.folder._read(piece, shard))
        return self.last[2]


def _cut(run: AnyRun, low: int, high: int) -> AnyRun:
    """Samples of a run; only those with a stepped clock are asked for in parts."""
    low = max(low, 0)
    if low == 0 and high >= len(run.y):
        return run
    assert isinstance(run, SteppedRun)
    return SteppedRun(
        run.backend, run.y[low:high], {name: fired[low:high] for name, fired in run.spikes.items()}, run.seconds
    )


def _holds(path: Path, key: str) -> bool:
    try:
        return from_bytes(read_bytes(path, _LIMIT))[1] == key
    except InputError:
        return False


def listed(shards: Sequence[int]) -> str:
    """``shard 3``, ``shards 1, 2 and 3``; a few of many."""
    if len(shards) == 1:
        return f"shard {shards[0]}"
    shown = [*map(str, shards[:8]), *([f"{len(shards) - 8} more"] if len(shards) > 8 else [])]
    return f"shards {', '.join(shown[:-1])} and {shown[-1]}"
