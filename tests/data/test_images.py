"""Images that users bring, in small files that these tests write; every refusal is one line."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from qif2hw.data import Images, Split, digits, fashion_mnist, images, open_images
from qif2hw.data.idx import read_idx
from qif2hw.errors import InputError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 4, 5), np.uint8)
LABELS = np.array([3, 1, 0, 2, 1, 3], np.uint8)


def idx(array: NDArray[Any], code: int) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(folder: Path, zipped: bool = False) -> Path:
    for part, rows in ("train", slice(0, 4)), ("t10k", slice(4, 6)):
        for name, array in (f"{part}-images-idx3-ubyte", PIXELS[rows]), (f"{part}-labels-idx1-ubyte", LABELS[rows]):
            data = idx(array, 8)
            (folder / f"{name}{'.gz' if zipped else ''}").write_bytes(gzip.compress(data) if zipped else data)
    return folder


def write_cifar10(folder: Path) -> Path:
    for k, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
        (folder / name).write_bytes(b"".join(bytes([k]) + bytes([10 * k + c]) * 1024 * 3 for c in range(2)))
    (folder / "batches.meta.txt").write_text("plane\ncar\nbird\ncat\ndeer\ndog\n\n")
    return folder


def write_pictures(folder: Path, mode: str = "L") -> Path:
    shape = (4, 5) if mode == "L" else (4, 5, 3)
    for part, name, k in ("train", "cat", 0), ("train", "ape", 1), ("train", "ape", 2), ("test", "cat", 3):
        (folder / part / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(shape, 40 * k, np.uint8)).save(folder / part / name / f"{k}.png")
    return folder


def same(split: Split) -> None:
    assert np.array_equal(np.concatenate([split.train.x, split.test.x])[:, 0], PIXELS)
    assert np.array_equal(np.concatenate([split.train.label, split.test.label]), LABELS)
    assert (len(split.train), len(split.test), split.train.label.dtype) == (4, 2, np.int64)


class TestIdx:
    @pytest.mark.parametrize(("code", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
    @pytest.mark.parametrize("zipped", [False, True])
    def test_every_type(self, code: int, dtype: str, zipped: bool, tmp_path: Path) -> None:
        array = RNG.integers(0, 100, (3, 2, 4)).astype(dtype)
        data = idx(array, code)
        (tmp_path / "a").write_bytes(gzip.compress(data) if zipped else data)
        read = read_idx(tmp_path / "a")
        assert read.dtype == array.dtype
        assert np.array_equal(read, array)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "not an idx file"),
            (b"\x89PNG", "not an idx file"),
            (idx(PIXELS, 8)[:-1], r"do not hold an array of shape \(6, 4, 5\)"),
            (idx(PIXELS, 8) + b"0", "incomplete"),
            (gzip.compress(idx(PIXELS, 8))[:-9], "damaged or incomplete"),
        ],
    )
    def test_refused(self, data: bytes, message: str, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_idx(tmp_path / "a")


class TestForms:
    @pytest.mark.parametrize("zipped", [False, True])
    def test_idx(self, tmp_path: Path, zipped: bool) -> None:
        split = open_images(write_idx(tmp_path, zipped))
        same(split)
        assert split.train.classes == ("0", "1", "2", "3")

    @pytest.mark.parametrize("form", ["grey", "first", "last"])
    def test_npz(self, form: str, tmp_path: Path) -> None:
        x = {"grey": PIXELS, "first": PIXELS[:, None], "last": PIXELS[..., None]}[form]
        np.savez(tmp_path / "a.npz", x_train=x[:4], y_train=LABELS[:4, None], x_test=x[4:], y_test=LABELS[4:])
        same(open_images(tmp_path / "a.npz"))

    def test_npz_of_event_counts(self, tmp_path: Path) -> None:
        x = RNG.integers(0, 9, (3, 7, 2, 8, 8))
        np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(3), x_test=x, y_test=np.arange(3))
        assert np.array_equal(open_images(tmp_path / "a.npz").train.x, x)

    def test_cifar10(self, tmp_path: Path) -> None:
        train, test = open_images(write_cifar10(tmp_path))
        assert (train.x.shape, test.x.shape) == ((10, 3, 32, 32), (2, 3, 32, 32))
        assert train.label.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
        assert train.x[3].min() == train.x[3].max() == 11
        assert test.classes == ("plane", "car", "bird", "cat", "deer", "dog")

    def test_cifar_is_planes_of_rows(self, tmp_path: Path) -> None:
        pixels = RNG.integers(0, 256, (3, 32, 32), np.uint8)
        write_cifar10(tmp_path)
        (tmp_path / "test_batch.bin").write_bytes(b"\x05" + pixels.tobytes())
        assert np.array_equal(open_images(tmp_path).test.x[0], pixels)

    def test_cifar100_has_fine_labels(self, tmp_path: Path) -> None:
        for part in ("train", "test"):
            (tmp_path / f"{part}.bin").write_bytes(b"\x01\x63" + bytes(3072))
        train, _ = open_images(tmp_path)
        assert (train.label.tolist(), len(train.classes)) == ([99], 100)

    @pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
    def test_pictures(self, mode: str, channels: int, tmp_path: Path) -> None:
        train, test = open_images(write_pictures(tmp_path, mode))
        assert train.classes == ("ape", "cat")
        assert train.label.tolist() == [0, 0, 1]
        assert train.x.shape == (3, channels, 4, 5)
        assert train.x[:, 0, 0, 0].tolist() == [40, 80, 0]
        assert test.label.tolist() == [1]


class TestKnownSets:
    def test_fashion_mnist(self, tmp_path: Path) -> None:
        split = fashion_mnist(write_idx(tmp_path, zipped=True))
        same(split)
        assert split.test.classes[9] == "Ankle boot"

    def test_fashion_mnist_where_debian_puts_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(images, "FASHION_MNIST", write_idx(tmp_path))
        same(fashion_mnist())

    def test_digits(self) -> None:
        train, test = digits(0)
        assert (len(train), len(test), train.x.shape[1:], train.x.max()) == (1438, 359, (1, 8, 8), 16)
        everything = np.sort(np.concatenate([train.x, test.x]).reshape(1797, 64).sum(axis=1))
        other = digits(1)
        assert np.array_equal(
            everything, np.sort(np.concatenate([other.train.x, other.test.x]).reshape(1797, 64).sum(axis=1))
        )
        assert not np.array_equal(test.x, other.test.x)
        assert np.array_equal(test.x, digits(0).test.x)


def npz(**arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        usual = {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS, "y_test": LABELS}
        np.savez(folder / "a.npz", **{k: v for k, v in {**usual, **arrays}.items() if v is not None})
        return folder / "a.npz"

    return write


def without(name: str, write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder)
        (folder / name).unlink()
        return folder

    return make


def with_file(name: str, data: bytes, write: Callable[[Path], Path] = lambda folder: folder) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        return folder

    return make


def another_size(folder: Path) -> Path:
    write_pictures(folder)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / "train" / "ape" / "9.png")
    return folder


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda folder: folder / "no", "no such file"),
    "an empty folder": (lambda folder: folder, "no images in a form .* idx files"),
    "a text": (lambda folder: with_file("a.txt", b"")(folder) / "a.txt", "not understood"),
    "labels missing": (without("t10k-labels-idx1-ubyte", write_idx), "t10k-labels-idx1-ubyte is missing"),
    "an npz without labels": (npz(y_test=None), "no array y_test;"),
    "an npz that is none": (lambda folder: with_file("a.npz", b"text")(folder) / "a.npz", "not an npz"),
    "an npz of objects": (npz(x_train=np.array([{}], object)), "plain arrays"),
    "labels that are no numbers": (npz(y_train=LABELS / 2), "y_train holds float64"),
    "labels below 0": (npz(y_train=LABELS.astype(int) - 1), "labels from -1"),
    "fewer labels": (npz(y_train=LABELS[:3]), "one label each"),
    "flat images": (npz(x_train=PIXELS.reshape(6, 20)), r"\(6, 20\)"),
    "two sizes": (npz(x_test=PIXELS[:, :3]), "differ in size"),
    "half an image": (with_file("test_batch.bin", bytes(100), write_cifar10), "100 bytes are not images of 3073"),
    "a batch missing": (without("data_batch_4.bin", write_cifar10), "data_batch_4.bin: this file"),
    "no pictures for testing": (with_file("train/ape/1.png", b""), "neither test/ nor val/"),
    "an unknown class": (with_file("test/dog/1.png", b"", write_pictures), "class dog"),
    "no pictures": (with_file("test/readme", b"", with_file("train/ape/a.txt", b"")), "no pictures"),
    "a damaged picture": (with_file("train/ape/1.png", b"no", write_pictures), "1.png: not a picture"),
    "pictures of two sizes": (another_size, r"9.png: \(1, 4, 6\) .* 1.png is \(1, 4, 5\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as refused:
        open_images(make(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_missing_fashion_mnist_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Debian package dataset-fashion-mnist.*--data FOLDER"):
        fashion_mnist(tmp_path)


def test_images_check_themselves() -> None:
    with pytest.raises(InputError, match="samples"):
        Images(PIXELS, LABELS.astype(np.int64), ("a",))
