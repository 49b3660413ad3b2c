"""Shards: that none is lost, and that joined ones are one run, bit for bit."""

import json
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qif2hw import backends, parity
from qif2hw.bundle import SteppedBundle
from qif2hw.errors import InputError
from qif2hw.ir.arrays import same
from qif2hw.ir.stepped import AnyRun
from qif2hw.parity.shards import pieces
from qif2hw.workers import UNIT, Shard, split
from qif2hw.workers.folder import Piece, ShardFolder
from qif2hw.workers.run_file import from_bytes, to_bytes
from qif2hw.workers.shards import join


def equal(one: AnyRun, other: AnyRun) -> None:
    assert type(one) is type(other)
    for field in fields(one):
        if field.name != "seconds":
            assert same(getattr(one, field.name), getattr(other, field.name)), field.name


@given(st.integers(1, 5000), st.integers(1, 40))
def test_split(samples: int, shards: int) -> None:
    parts = split(samples, shards)
    assert [parts[0].start, parts[-1].stop] == [0, samples]
    assert all(a.stop == b.start for a, b in pairwise(parts))
    assert all(part.start % UNIT == 0 and part.stop > part.start for part in parts)
    assert len(parts) == min(shards, -(-samples // UNIT))
    sizes = [-(-(part.stop - part.start) // UNIT) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_shard() -> None:
    assert Shard.parse("3/8") == Shard(3, 8)
    assert Shard(2, 3).of(769) == slice(256, 512)
    for text in ("3", "0/2", "3/2", "a/b", "1/2/3", "-1/2", "1/0"):
        with pytest.raises(InputError, match="shard"):
            Shard.parse(text)
    with pytest.raises(InputError, match="769 samples have at most 4 shards"):
        Shard(1, 5).of(769)


@pytest.mark.parametrize("backend", ["engine", "reference"])
@pytest.mark.parametrize("keep", ["spikes", "counts"])
def test_joined_shards_are_one_run(work: Any, backend: str, keep: Any) -> None:
    bundle, x = work
    whole = bundle.run(x, backend, keep=keep)
    for shards in (2, 3, 4):
        runs = [(part.start, bundle.run(x[part], backend, keep=keep)) for part in split(len(x), shards)]
        equal(join([(first, from_bytes(to_bytes(run, "key"))[0]) for first, run in runs], keep), whole)


def test_a_run_in_a_file(work: Any) -> None:
    run = work.bundle.run(work.x[:20])
    data = to_bytes(run, "of this")
    found, key = from_bytes(data)
    equal(found, run)
    assert (key, found.seconds) == ("of this", run.seconds)
    for broken in (b"", data[:100], data[:-1], b"x" * 200, data.replace(b'"y"', b'"z"')):
        with pytest.raises(InputError, match="not a run"):
            from_bytes(broken)


def without_seconds(report: Any) -> Any:
    found = json.loads(report.to_json())
    del found["seconds"]
    return found


def test_a_parity_check_over_files(work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joined: the report of one check, though blocks of samples begin elsewhere than shards do."""
    bundle, x = work
    monkeypatch.setattr("qif2hw.parity.stepped.ENTRIES", 70 * 4 * 485)
    able = [backends.get("reference"), backends.get("engine")]
    runs = pieces(bundle, able, {})
    folder = ShardFolder(tmp_path, "bundle", bundle.program, x)
    every = [piece for group in runs for piece in group]
    assert [p.name for p in every] == ["reference", "engine"] if isinstance(bundle, SteppedBundle) else [
        "reference", "float", "engine",
    ]  # fmt: skip
    for number in (3, 1, 2):
        folder.compute(every, Shard(number, 3))
    limits: Any = parity.SteppedBounds(1, 1) if isinstance(bundle, SteppedBundle) else parity.Bounds(result=1.0)
    joined = parity.check(bundle, x, backends=[folder.backend(group) for group in runs], bounds=limits)
    whole = parity.check(bundle, x, bounds=limits)
    assert without_seconds(joined) == without_seconds(whole)
    for name, run in whole.runs.items():
        equal(joined.runs[name], run)


def test_shards_that_are_missing_or_of_something_else(layers: Any, tmp_path: Path) -> None:
    bundle, x = layers
    engine = backends.get("engine")
    piece = Piece("engine", engine, bundle.program)
    folder = ShardFolder(tmp_path / "new", "bundle", bundle.program, x)
    home = str(folder.path)
    with pytest.raises(InputError, match="has no shard of engine: run them with --shard 1/N"):
        folder.backend([piece])
    assert folder.compute([piece], Shard(1, 4)) == {"engine": True}
    with pytest.raises(
        InputError, match=f"{home}: shards 2, 3 and 4 of 4 of engine are missing: run them with --shard"
    ):
        folder.backend([piece])
    for number in (2, 4):
        folder.compute([piece], Shard(number, 4))
    with pytest.raises(InputError, match="shard 3 of 4 of engine is missing: run it with --shard"):
        folder.backend([piece])
    folder.compute([piece], Shard(3, 4))
    equal(folder.backend([piece]).run(bundle, x), bundle.run(x))
    # What is there is not run again, unless it is broken or of something else.
    assert folder.compute([piece], Shard(3, 4)) == {"engine": False}
    path = tmp_path / "new/engine-3-of-4.run"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"engine-3-of-4.run: not a run .*: run this shard again"):
        folder.backend([piece]).run(bundle, x)
    assert folder.compute([piece], Shard(3, 4)) == {"engine": True}
    for other in (
        ShardFolder(folder.path, "another", bundle.program, x),
        ShardFolder(folder.path, "bundle", bundle.program, x + 2.0**-50),
    ):
        with pytest.raises(InputError, match="of another bundle, other inputs or options: run this shard again"):
            other.backend([piece]).run(bundle, x)
    with pytest.raises(InputError, match="of another bundle, other inputs or options"):
        folder.backend([Piece("engine", engine, bundle.program, {"keep": "counts"})]).run(bundle, x, keep="counts")
    with pytest.raises(InputError, match="has 4 shards of engine, more than these inputs have"):
        ShardFolder(folder.path, "bundle", bundle.program, x[:500]).backend([piece])
    folder.compute([piece], Shard(1, 2))
    with pytest.raises(InputError, match="has shards of 2 and of 4: remove the others"):
        folder.backend([piece])


def test_a_shard_is_written_whole_or_not_at_all(layers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, x = layers
    piece = Piece("engine", backends.get("engine"), bundle.program)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qif2hw.files.os.fsync", full)
    with pytest.raises(InputError, match=r"engine-1-of-2\.run: cannot be written \(no space left on device\)"):
        ShardFolder(tmp_path, "bundle", bundle.program, x).compute([piece], Shard(1, 2))
    assert list(tmp_path.iterdir()) == []


def test_the_reference_works_on_blocks_that_shards_do_not_cut(work: Any) -> None:
    """Sums over blocks of other sizes may differ in their last bits; one that shards cut would be of another size."""
    import qif2hw.reference.execute as trial
    import qif2hw.reference.stepped as stepped

    for module in (trial, stepped):
        assert UNIT % module.MOST_SAMPLES == 0
    assert np.log2(trial._block(work.bundle.network) if not isinstance(work.bundle, SteppedBundle) else 64) % 1 == 0
