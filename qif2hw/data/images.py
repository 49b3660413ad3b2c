"""Labelled images: Fashion-MNIST, digits, and what users bring: idx files, npz, CIFAR binaries, folders of pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qif2hw.data.idx import read_idx
from qif2hw.errors import InputError

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package ``dataset-fashion-mnist`` puts its files."""

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")

UNDERSTOOD = (
    "idx files (train-images-idx3-ubyte[.gz] ...), CIFAR binaries (data_batch_1.bin ... or train.bin), "
    "train/CLASS/*.png and test/CLASS/*.png, or an npz file with x_train, y_train, x_test, y_test"
)


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images, or sequences of frames.

    Parameters
    ----------
    x
        Pixels (samples, C, H, W), or frames (samples, T, C, H, W); uint8 or another number type.
    label
        Class of each sample, (samples,), from 0 on.
    classes
        Names of the classes.

    Raises
    ------
    InputError
        If shapes do not fit each other, or a label names no class.
    """

    x: NDArray[Any]
    label: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.x.ndim not in (4, 5) or self.label.shape != self.x.shape[:1]:
            raise InputError(
                f"images {self.x.shape} and labels {self.label.shape}: (samples, C, H, W), or (samples, T, C, H, W) "
                "with frames, and one label each are needed"
            )
        if self.label.size and not 0 <= self.label.min() <= self.label.max() < len(self.classes):
            raise InputError(
                f"labels from {self.label.min()} to {self.label.max()}: there are {len(self.classes)} classes from 0 on"
            )

    def __len__(self) -> int:
        return len(self.x)


class Split(NamedTuple):
    """Images for training and for testing."""

    train: Images
    test: Images


def fashion_mnist(folder: Path | None = None) -> Split:
    """Fashion-MNIST, 60 000 and 10 000 images of 28 x 28, from a folder or from where Debian's package puts it."""
    home = folder or FASHION_MNIST
    if _idx_file(home, "train-images-idx3-ubyte") is None:
        raise InputError(
            f"Fashion-MNIST is not in {home}: install the Debian package dataset-fashion-mnist, or name the folder of "
            "its idx.gz files with --data FOLDER"
        )
    return _from_idx(home, FASHION_CLASSES)


def digits(split: int = 0) -> Split:
    """The 1797 digits of scikit-learn, 8 x 8 pixels from 0 to 16; ``split`` chooses the fifth that is for testing."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError("digits: they come with scikit-learn; install it with: pip install scikit-learn") from None
    data = load_digits()
    x, label = data.images.astype(np.uint8)[:, None], data.target.astype(np.int64)
    order = np.random.default_rng(split).permutation(len(x))
    classes = tuple("0123456789")
    test, train = order[: len(x) // 5], order[len(x) // 5 :]
    return Split(Images(x[train], label[train], classes), Images(x[test], label[test], classes))


SHIPPED: dict[str, Callable[[], Split]] = {"digits": digits, "fashion_mnist": fashion_mnist}
"""Images of the tasks, by name."""


def open_images(source: Path) -> Split:
    """Images that a user brings; the form is recognised by the names of the files, see `UNDERSTOOD`.

    Raises
    ------
    InputError
        If nothing is there, or not in a form that is understood.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.is_file():
        if source.suffix != ".npz":
            raise InputError(f"{source}: not understood; these are: {UNDERSTOOD}")
        return _from_npz(source)
    readers: list[tuple[bool, Callable[[Path], Split]]] = [
        (_idx_file(source, "train-images-idx3-ubyte") is not None, _from_idx),
        ((source / "data_batch_1.bin").is_file(), _from_cifar10),
        ((source / "train.bin").is_file(), _from_cifar100),
        ((source / "train").is_dir(), _from_pictures),
    ]
    for fits, read in readers:
        if fits:
            return read(source)
    raise InputError(f"{source}: holds no images in a form that is understood; these are: {UNDERSTOOD}")


def _idx_file(folder: Path, name: str) -> Path | None:
    return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)


def _from_idx(folder: Path, classes: tuple[str, ...] | None = None) -> Split:
    parts = []
    for part in ("train", "t10k"):
        arrays = []
        for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
            file = _idx_file(folder, name)
            if file is None:
                raise InputError(f"{folder}: {name} is missing, with or without .gz")
            arrays.append(read_idx(file))
        parts.append((arrays[0][:, None], arrays[1]))
    return _split(parts[0], parts[1], classes)


def _split(
    train: tuple[NDArray[Any], NDArray[Any]], test: tuple[NDArray[Any], NDArray[Any]],
    classes: tuple[str, ...] | None = None,
) -> Split:  # fmt: skip
    if train[0].shape[1:] != test[0].shape[1:]:
        raise InputError(f"images for training {train[0].shape[1:]} and for testing {test[0].shape[1:]} differ in size")
    labels = [label.astype(np.int64) for _, label in (train, test)]
    if classes is None:
        classes = tuple(str(k) for k in range(1 + max(int(label.max(initial=0)) for label in labels)))
    return Split(Images(train[0], labels[0], classes), Images(test[0], labels[1], classes))


def _from_npz(file: Path) -> Split:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    except KeyError as missing:
        name = str(missing.args[0]).split()[0]
        raise InputError(f"{file}: no array {name}; x_train, y_train, x_test and y_test are needed") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not an npz file of plain arrays ({error})") from None
    pairs = []
    for part in ("train", "test"):
        x, label = _channels_first(found[f"x_{part}"], file), found[f"y_{part}"]
        if not np.issubdtype(label.dtype, np.integer):
            raise InputError(f"{file}: y_{part} holds {label.dtype}; whole numbers from 0 on are needed")
        pairs.append((x, label.reshape(-1) if label.shape == (len(x), 1) else label))
    return _split(pairs[0], pairs[1])


def _channels_first(x: NDArray[Any], file: Path) -> NDArray[Any]:
    """Images as (samples, C, H, W): grey ones have no channel, others may have it last."""
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] > 3 and x.shape[3] <= 3:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    if x.ndim in (4, 5):
        return x
    raise InputError(
        f"{file}: images {x.shape}; (samples, H, W), (samples, C, H, W) or (samples, T, C, H, W) is needed"
    )


def _from_cifar10(folder: Path) -> Split:
    train = [_cifar(folder / f"data_batch_{k}.bin", 1) for k in range(1, 6)]
    whole = tuple(np.concatenate(arrays) for arrays in zip(*train, strict=True))
    return _split((whole[0], whole[1]), _cifar(folder / "test_batch.bin", 1), _names(folder / "batches.meta.txt"))


def _from_cifar100(folder: Path) -> Split:
    train, test = (_cifar(folder / f"{part}.bin", 2) for part in ("train", "test"))
    return _split(train, test, _names(folder / "fine_label_names.txt"))


def _cifar(file: Path, labels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and labels of a binary file; of two labels the second one, the fine class."""
    if not file.is_file():
        raise InputError(f"{file}: this file of the CIFAR data set is missing")
    bytes_, row = np.fromfile(file, np.uint8), labels + 3 * 32 * 32
    if bytes_.size == 0 or bytes_.size % row:
        raise InputError(f"{file}: {bytes_.size} bytes are not images of {row} bytes; the file is incomplete")
    rows = bytes_.reshape(-1, row)
    return rows[:, labels:].reshape(-1, 3, 32, 32), rows[:, labels - 1]


def _names(file: Path) -> tuple[str, ...] | None:
    return tuple(file.read_text(encoding="utf-8").split()) if file.is_file() else None


def _from_pictures(folder: Path) -> Split:
    test = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), None)
    if test is None:
        raise InputError(f"{folder}: there is train/, but neither test/ nor val/")
    classes = tuple(sorted(f.name for f in (folder / "train").iterdir() if f.is_dir()))
    return _split(_pictures(folder / "train", classes), _pictures(test, classes), classes)


def _pictures(folder: Path, classes: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        from PIL import Image
    except ImportError:
        raise InputError("pictures are read with Pillow; install it with: pip install pillow") from None
    strange = [f.name for f in sorted(folder.iterdir()) if f.is_dir() and f.name not in classes]
    if strange:
        raise InputError(f"{folder}: the class {strange[0]} is not one of those in train/")
    files = [
        (k, f) for k, name in enumerate(classes) if (folder / name).is_dir()
        for f in sorted((folder / name).iterdir()) if f.suffix.lower() in PICTURES
    ]  # fmt: skip
    if not files:
        raise InputError(f"{folder}: no pictures in folders of classes; {', '.join(PICTURES)} are read")
    arrays: list[NDArray[np.uint8]] = []
    for _, file in files:
        try:
            with Image.open(file) as picture:
                grey = picture.mode in ("1", "L")
                pixels = np.asarray(picture.convert("L" if grey else "RGB"))
        except OSError as error:
            raise InputError(f"{file}: not a picture that can be read ({error})") from None
        arrays.append(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        if arrays[-1].shape != arrays[0].shape:
            raise InputError(f"{file}: {arrays[-1].shape} (C, H, W), but {files[0][1].name} is {arrays[0].shape}")
    return np.stack(arrays), np.array([k for k, _ in files], np.int64)
