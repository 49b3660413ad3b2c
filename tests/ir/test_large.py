"""Large arrays: in files without a name, read and written in blocks, and nothing that they hold is different."""

import io
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from networks import branched, ordinary
from onnx import ModelProto, TensorProto

import qif2hw
from qif2hw.bundle import container, tensors
from qif2hw.errors import InputError
from qif2hw.files import Region
from qif2hw.ir import large, npz, onnx_io
from qif2hw.ir.arrays import finite, frozen
from qif2hw.ir.onnx import graph, parse, stored

NETWORK = ordinary((2, 5, 4), seed=3)


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept in files, and worked on in blocks, has some bytes."""
    for module in (large, graph, parse, stored, container):
        monkeypatch.setattr(module, "LARGE", 40)
    monkeypatch.setattr(large, "BLOCK", 3)


@pytest.mark.usefixtures("small_is_large")
def test_frozen_arrays_are_copied_once() -> None:
    given_ = np.arange(12.0).reshape(3, 4)
    held = frozen(given_, np.float64)
    given_[0, 0] = 7
    assert held[0, 0] == 0
    assert isinstance(held.base, large._File)
    assert frozen(held, np.float64) is held
    assert finite(held, "it") is held
    with pytest.raises(ValueError, match="read-only"):
        held[0, 0] = 1
    view = given_[1:]
    view.setflags(write=False)
    assert frozen(view, np.float64) is not view  # its owner can still write
    assert frozen(held[1:], np.float64).base is held.base or frozen(held[1:], np.float64).base is held
    large.release(held)
    np.testing.assert_array_equal(held.ravel()[1:], np.arange(1.0, 12))
    with pytest.raises(InputError, match=r"it holds nan at \[2, 1\]"):
        finite(np.where(np.arange(12).reshape(3, 4) == 9, np.nan, 0.0), "it")


@pytest.mark.usefixtures("small_is_large")
def test_blocks_are_the_whole() -> None:
    a = np.random.default_rng(0).normal(size=(5, 7))
    np.testing.assert_array_equal(np.concatenate(list(large.flat_blocks(a))), a.ravel())
    np.testing.assert_array_equal(np.concatenate(list(large.row_blocks(a))), a)
    np.testing.assert_array_equal(large.transposed(a), a.T)
    np.testing.assert_array_equal(large.scaled(a, 0.3), a * 0.3)
    assert large.largest(a) == np.abs(a).max()
    assert large.largest(a[:0]) == 0


def test_no_room_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(large, "LARGE", 1)
    assert large.empty((3, 4), np.int16).base is None


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("network", [NETWORK, branched()], ids=["chain", "branched"])
def test_every_way_gives_the_same_bytes(
    network: qif2hw.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = qif2hw.compile(network, steps=64, rounding="nearest")
    path = bundle.save(tmp_path / "m.qif")
    folder = bundle.save(f"{tmp_path}/m/")
    assert qif2hw.load(path) == qif2hw.load(folder) == bundle
    model = onnx_io.save(network, tmp_path / "m.onnx")
    assert onnx_io.load(model) == network
    data, inside = path.read_bytes(), bundle.parts()
    monkeypatch.undo()
    # As they are written where nothing is large: by the onnx package, and compiled in one block.
    again = qif2hw.compile(network, steps=64, rounding="nearest")
    assert again.parts() == inside
    assert again.save(tmp_path / "n.qif").read_bytes() == data
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == inside
    assert ModelProto.FromString(model.read_bytes()).SerializeToString(deterministic=True) == model.read_bytes()


@given(
    st.dictionaries(
        st.text(max_size=6),
        arrays.arrays(
            st.sampled_from(["<u8", "<i8", "<f8", "<f4", "<u4", "<i4", "<f2", "<u2", "<i2", "i1", "u1", "?"]),
            arrays.array_shapes(min_dims=0, min_side=0, max_side=4),
        ),
        max_size=6,
    )
)
def test_safetensors_as_the_package_writes_them(given_: dict[str, np.ndarray]) -> None:
    data = b"".join(large.bytes_of(tensors.write(given_)))
    assert data == safetensors.numpy.save(given_)
    found = tensors.read(Region.of(data))
    assert found.keys() == given_.keys()
    for key, array in found.items():
        assert array.dtype == given_[key].dtype
        assert array.tobytes() == given_[key].tobytes()


@pytest.mark.parametrize("cut", [b"", b"\x08", b"\xff" * 16, b"\x02" + bytes(7) + b"{}x", b"\x02" + bytes(7) + b"[]"])
def test_no_safetensors(cut: bytes) -> None:
    with pytest.raises(InputError, match="not a safetensors file"):
        tensors.read(Region.of(cut))


def test_safetensors_without_gaps_and_overlaps() -> None:
    data = b"".join(large.bytes_of(tensors.write({"a": np.ones(2), "b": np.ones(1)})))
    for old, new in ((b"[0,16]", b"[0,24]"), (b"[16,24]", b"[8,16]\x20"), (b"[2]", b"[3]"), (b"F64", b"F65")):
        with pytest.raises(InputError, match="not a safetensors file"):
            tensors.read(Region.of(data.replace(old, new, 1)))


def external(folder: Path, threshold: int = 0) -> Path:
    """A model whose arrays lie in another file, as the onnx package writes it."""
    path = folder / "m.onnx"
    model = ModelProto.FromString(onnx_io.to_bytes(NETWORK))
    onnx.save_model(model, path, save_as_external_data=True, location="m.data", size_threshold=threshold)
    return path


@pytest.mark.parametrize("limit", [40, 1 << 24])
def test_external_data(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (large, graph, parse, stored):
        monkeypatch.setattr(module, "LARGE", limit)
    path = external(tmp_path)
    assert (tmp_path / "m.data").stat().st_size > 8 * NETWORK.synapse_count
    assert onnx_io.load(path) == NETWORK
    # Read from elsewhere, and written as one file again.
    assert onnx_io.to_bytes(qif2hw.load_model(path)) == onnx_io.to_bytes(NETWORK)


def entry(key: str, value: str) -> Callable[[TensorProto], None]:
    """A change of where a tensor lies."""

    def change(tensor: TensorProto) -> None:
        held = {e.key: e.value for e in tensor.external_data} | {key: value}
        del tensor.external_data[:]
        for k, v in held.items():
            tensor.external_data.add(key=k, value=v)

    return change


REFUSED: dict[str, tuple[Callable[[TensorProto], object], str]] = {
    "above": (entry("location", "../secret"), "only files in the folder of the model"),
    "above, later": (entry("location", "sub/../../secret"), "only files in the folder of the model"),
    "absolute": (entry("location", "/etc/passwd"), "only files in the folder of the model"),
    "another system's": (entry("location", "..\\secret"), "only files in the folder of the model"),
    "the folder": (entry("location", "."), "links must not lead out"),
    "a link": (entry("location", "link"), "links must not lead out"),
    "a folder": (entry("location", "sub"), "no file beside the model"),
    "missing": (entry("location", "nothing"), "no file beside the model"),
    "long": (entry("location", "x" * 10_000), "no file beside the model"),
    "no location": (entry("location", ""), "its location is needed"),
    "unknown": (entry("basepath", "/etc"), "its location is needed"),
    "beyond": (entry("offset", "1000000000"), "this file has"),
    "too long": (entry("length", "1000000000"), "this file has"),
    "negative": (entry("offset", "-8"), "must be numbers"),
    "no number": (entry("length", "8x"), "must be numbers"),
    "endless": (entry("offset", "9" * 5000), "must be numbers"),
    "other size": (entry("length", "8"), "holds 1 values, its shape|too small for the declared shape"),
    "twice": (lambda t: setattr(t, "raw_data", bytes(8)), "stored twice"),
    "twice, otherwise": (lambda t: t.double_data.append(1.0), "not a valid ONNX model"),
    "another shape": (lambda t: t.dims.append(2), "its shape .* needs another number|too small for the declared shape"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("limit", [4, 1 << 24])
def test_external_data_from_elsewhere_is_refused(
    tmp_path: Path, case: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (large, graph, parse, stored):
        monkeypatch.setattr(module, "LARGE", limit)
    (tmp_path / "secret").write_bytes(bytes(1000))
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (home / "link").symlink_to(tmp_path / "secret")
    path = external(home)
    model = ModelProto.FromString(path.read_bytes())
    change, message = REFUSED[case]
    change(next(t for t in model.graph.initializer if t.name.startswith("weight:")))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=message) as caught:
        onnx_io.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    with pytest.raises(InputError, match="only self-contained models are read"):
        onnx_io.from_bytes(path.read_bytes())


@pytest.mark.usefixtures("small_is_large")
def test_a_damaged_file_of_large_arrays_is_an_input_error() -> None:
    data = onnx_io.to_bytes(NETWORK)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data[: rng.integers(1, len(data))] if rng.random() < 0.3 else data)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        with suppress(InputError):
            assert isinstance(onnx_io.from_bytes(bytes(damaged)), qif2hw.Network)


def test_arrays_as_large_as_their_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.npz"
    g = np.random.default_rng(0)
    w0, w1 = g.normal(size=(40, 3)), np.asfortranarray(g.normal(size=(2, 40)).astype(np.float32))
    np.savez(path, w0=w0, w1=w1, phi0=np.ones(42))
    monkeypatch.setattr(npz, "MAX_BYTES", 100)
    monkeypatch.setattr(large, "LARGE", 40)
    monkeypatch.setattr(large, "BLOCK", 7)
    read = npz.import_npz(path, trial=6.5, encode=(0.1, 6.0))
    np.testing.assert_array_equal(read.projections[0].weight, w0)
    np.testing.assert_array_equal(read.projections[1].weight, w1)
    # Two names for the same bytes are more than the file holds.
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(path, "w") as made:
        for name in archive.namelist():
            made.writestr(name, archive.read(name))
        made.filelist += [made.filelist[0]] * 3
        made._didModify = True
    with pytest.raises(InputError, match="its arrays are larger than the file"):
        npz.import_npz(path, trial=6.5, encode=(0.1, 6.0))
