"""Writing files: what is refused before the work, and that nothing half-written or replaced by accident is left."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qif2hw.errors import InputError
from qif2hw.files import (
    check_replaceable,
    check_writable,
    make_folder,
    open_file,
    read_bytes,
    write_bytes,
    write_folder,
)


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder that takes no new files, for a user who is not root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert check_writable(path) == path
    assert not list(tmp_path.iterdir())
    for data in (b"first", b"second"):
        assert write_bytes(path, data) == path
        assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("write", [check_writable, lambda path: write_bytes(path, b"x")], ids=["check", "write"])
def test_what_cannot_be_written_is_refused(write, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.iterdir())
    for name, reason in {
        "no/file": "there is no folder",
        "file/file": "there is no folder",
        "folder": "a folder of that name exists",
        "fifo": "no regular file",
        "x" * 300: "file name too long",
    }.items():
        with pytest.raises(InputError, match=reason):
            write(tmp_path / name)
    read_end, write_end = os.pipe()
    for name in ("/dev/null", f"/dev/fd/{write_end}"):
        with pytest.raises(InputError, match="no regular file"):
            write(name)
    os.close(read_end)
    os.close(write_end)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("read", [open_file, lambda path: read_bytes(path, 1 << 40)], ids=["open", "bytes"])
def test_devices_are_refused_and_pipes_are_read(read, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in ("/dev/zero", "/dev/null", "/dev/random", tmp_path / "link"):
        with pytest.raises(InputError, match="it is a device, not a file or a pipe"):
            read(path)
    read_end, write_end = os.pipe()
    os.write(write_end, b"some")
    os.close(write_end)
    found = read(f"/dev/fd/{read_end}")
    os.close(read_end)
    assert (found if isinstance(found, bytes) else found.read()) == b"some"


def test_a_folder_without_permission_is_refused(locked: Path) -> None:
    for attempt in (
        lambda: check_writable(locked / "file"),
        lambda: check_replaceable(locked / "folder", ()),
        lambda: make_folder(locked),
        lambda: make_folder(locked / "folder"),
    ):
        with pytest.raises(InputError, match="permission denied"):
            attempt()


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, lost = tmp_path / "link", tmp_path / "lost"
    link.symlink_to("far/file")
    lost.symlink_to("nowhere/file")
    for data in (b"new", b"again"):
        write_bytes(link, data)
        assert link.is_symlink()
        assert (tmp_path / "far" / "file").read_bytes() == data
    with pytest.raises(InputError, match="nowhere"):
        write_bytes(lost, b"x")
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(InputError, match="leads to itself"):
        check_writable(loop)
    with pytest.raises(InputError, match="leads to itself"):
        check_replaceable(loop, ())


def test_a_folder_is_replaced_if_it_holds_nothing_else(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "link"
    link.symlink_to("a")
    check_replaceable(path, ("x",))
    write_folder(path, {"x": b"1", "y": b"2"})
    write_folder(link, {"x": b"3", "y": b"4"})
    assert link.is_symlink()
    assert {p.name: p.read_bytes() for p in path.iterdir()} == {"x": b"3", "y": b"4"}
    with pytest.raises(InputError, match="something else"):
        check_replaceable(path, ("x",))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="something else"):
        write_folder(tmp_path / "file", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "file", "link"]


@pytest.mark.parametrize("stopped", [1, 2])
@pytest.mark.parametrize("how", [KeyboardInterrupt, OSError])
def test_a_folder_is_replaced_or_stays(
    stopped: int, how: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes before the first renaming, or between both."""
    path = tmp_path / "a"
    write_folder(path, {"x": b"1"})
    rename, calls = Path.rename, 0

    def interrupted(source: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == stopped:
            raise how
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises((KeyboardInterrupt, InputError)):
        write_folder(path, {"x": b"2"})
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (path / "x").read_bytes() == b"1"


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert make_folder(path) == make_folder(path) == path
    assert path.is_dir()
    assert not list(path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        make_folder(tmp_path / "file" / "c")
