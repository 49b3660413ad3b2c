"""HDF5 files that the library would read without end are refused before; whole ones are not."""

from pathlib import Path

import numpy as np
import pytest

from qif2hw.errors import InputError
from qif2hw.ir import hdf5

h5py = pytest.importorskip("h5py")
HEAP = b"GCOL"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for k in range(400):
            file[f"text{k}"] = "x" * (k % 50)
        file["numbers"] = np.arange(1000.0)
        file["bytes"] = np.frombuffer(HEAP + b"\x02\0\0\0" + bytes(range(250)), np.uint8)
    assert path.read_bytes().count(HEAP) > 2
    return path


def test_a_whole_file_is_read(path: Path) -> None:
    with h5py.File(hdf5.read(path, "files"), "r") as file:
        assert file["text49"][()] == b"x" * 49
        assert file["numbers"].shape == (1000,)


def test_numbers_and_texts_are_read_and_nothing_else(tmp_path: Path) -> None:
    """What is no such thing may have a damaged type, which the library believes."""
    lists = np.empty(2, object)
    lists[:] = [np.arange(2), np.arange(3)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        read = {"float": 0.5, "whole": np.arange(3), "flag": np.array([True, False]), "text": b"abc"}
        for name, one in read.items():
            file[name] = one
            np.testing.assert_array_equal(hdf5.value(file[name]), one)
        file.create_dataset("lists", data=lists, dtype=h5py.vlen_dtype(np.int64))
        file["record"] = np.zeros(2, [("a", int), ("b", float)])
        file["complex"] = np.ones(2, complex)
        with pytest.raises(InputError, match="what it names is not there"):
            hdf5.value(None)
        for name in ("lists", "record", "complex"):
            with pytest.raises(InputError, match=f"'/{name}' holds neither numbers nor texts"):
                hdf5.value(file[name])


@pytest.mark.parametrize("size", [0, 8, 15, 1 << 20, 2**64 - 16, 2**64 - 1])
def test_a_heap_that_does_not_end_is_refused(path: Path, size: int) -> None:
    """The size of its first object, which then is the free rest, or of its own."""
    whole = bytearray(path.read_bytes())
    heap = whole.find(HEAP)
    data = whole[:]
    data[heap + 16 : heap + 18] = b"\0\0"
    data[heap + 24 : heap + 32] = size.to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"a damaged HDF5 file \(its texts, byte {heap}\)"):
        hdf5.read(path, "files")
    data = whole[:]
    data[heap + 8 : heap + 16] = (2**64 - 1 - size if size < 16 else size).to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match="a damaged HDF5 file"):
        hdf5.read(path, "files")


def test_a_file_that_is_cut_and_one_of_another_kind(path: Path) -> None:
    heap = path.read_bytes().find(HEAP)
    path.write_bytes(path.read_bytes()[: heap + 12])
    with pytest.raises(InputError, match="a damaged HDF5 file"):
        hdf5.read(path, "files")
    path.write_text("no HDF5")
    with pytest.raises(InputError, match="not an HDF5 file, as files are"):
        hdf5.read(path, "files")
