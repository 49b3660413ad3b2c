"""``--shards`` and ``--shard``: runs over files, one shard of the samples after the other or each somewhere else."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qif2hw.backends import Backend
from qif2hw.errors import InputError
from qif2hw.workers import Shard
from qif2hw.workers.folder import Piece, ShardFolder

if TYPE_CHECKING:
    from qif2hw.bundle import AnyBundle
    from qif2hw.ir.arrays import FloatArray
    from qif2hw_cli.output.console import Output, Stage


def shard_of(shards: str | None, shard: str | None) -> Shard | None:
    """What ``--shard`` names; `InputError` if there is no folder for it."""
    if shard is None:
        return None
    if shards is None:
        raise InputError(f"--shard {shard}: it is written to a folder: name it with --shards")
    return Shard.parse(shard)


def compute(
    out: "Output",
    stage: "Stage",
    shards: str,
    bundle: "AnyBundle",
    x: "FloatArray",
    pieces: Sequence[Piece],
    shard: Shard,
) -> None:
    """Run one shard of the inputs ``x`` (samples, ...), write its files, and say so."""
    new = _folder(shards, bundle, x).compute(pieces, shard, stage.update)
    for name, computed in new.items():
        out.say(f"{shards}: shard {shard} of {name}{'' if computed else ' was there already'}")
    data: dict[str, Any] = {"shards": shards, "shard": str(shard), "computed": new}
    out.data(data)


def stored(shards: str, bundle: "AnyBundle", x: "FloatArray", pieces: Sequence[Piece]) -> Backend:
    """The backend of some pieces, their runs on ``x`` (samples, ...) read from their shards."""
    return _folder(shards, bundle, x).backend(pieces)


def _folder(shards: str, bundle: "AnyBundle", x: "FloatArray") -> ShardFolder:
    digest = hashlib.sha256(bundle.parts()["manifest.json"]).hexdigest()
    return ShardFolder(Path(shards), digest, bundle.program, x)
