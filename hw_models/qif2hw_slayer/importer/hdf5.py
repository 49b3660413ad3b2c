"""SLAYER's HDF5 files, layer by layer, as they are: this needs h5py alone, neither torch nor lava-dl."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir import hdf5
from qif2hw.ir.arrays import FloatArray, finite

if TYPE_CHECKING:
    import h5py

_WINDOW = ("kernelSize", "stride", "padding", "dilation")

KEYS: dict[str, tuple[str, ...]] = {
    "input": ("weight", "bias", "neuron"),
    "dense": ("inFeatures", "outFeatures", "weight", "bias", "delay", "neuron"),
    "conv": ("inChannels", "outChannels", *_WINDOW, "groups", "weight", "bias", "delay", "neuron"),
    "pool": (*_WINDOW, "weight", "delay", "neuron"),
    "flatten": (),
    "average": (),
}
"""Types of layers that are read, and what each may hold besides its type and shape."""

OTHER_KINDS = {
    "dense_rec": "a recurrent layer",
    "dense_comp": "a layer with complex weights",
    "convT": "a transposed convolution",
    "unpool": "an unpooling layer",
    "concat": "a concatenation",
}
"""Types of layers that SLAYER knows and that are not read."""


@dataclass(frozen=True)
class Layer:
    """A layer of a file.

    Parameters
    ----------
    place
        Its number in the file.
    kind
        One of `KEYS`.
    shape
        Channels, height and width, or neurons; None where the file does not say.
    values
        Numbers and arrays by key.
    neuron
        Numbers, arrays and texts of the neuron by key; empty where there is none.
    """

    place: int
    kind: str
    shape: tuple[int, ...] | None
    values: dict[str, FloatArray]
    neuron: dict[str, FloatArray | str]

    def __str__(self) -> str:
        return f"layer {self.place} ({self.kind})"

    def array(self, key: str) -> FloatArray:
        """An array of the file, of its shape; `InputError` if it is missing."""
        if key not in self.values:
            raise InputError(f"{self}: '{key}' is missing")
        return self.values[key]

    def whole(self, key: str) -> FloatArray:
        """An array of whole numbers, of its shape; `InputError` if it is missing or holds others."""
        return whole_numbers(self.array(key), f"'{key}' of {self}")

    def single(self, key: str, default: float) -> float:
        """One whole number, ``default`` where it is missing; `InputError` if there are several."""
        if key not in self.values:
            return default
        value = self.whole(key)
        if value.size != 1:
            raise InputError(f"{self}: '{key}' has {value.size} values, one is needed")
        return float(value.item())


@dataclass(frozen=True)
class File:
    """All layers of a file, and the time steps of a sample where it says them."""

    layers: tuple[Layer, ...]
    time_steps: int | None


def whole_numbers(values: FloatArray, what: str) -> FloatArray:
    """The values, of any shape; `InputError` unless they are whole."""
    odd = values[values != np.rint(values)]
    if odd.size:
        raise InputError(f"{what} holds {odd.flat[0]:g}: whole numbers are needed")
    return values


def read(path: str | os.PathLike[str]) -> File:
    """Read a file that SLAYER's ``export_hdf5`` wrote.

    Raises
    ------
    InputError
        If it cannot be read, is no HDF5 file or none of SLAYER's, or holds layers or keys that are not known; the
        message names the layer.
    """
    try:
        import h5py
    except ImportError:
        raise InputError("networks of SLAYER are HDF5 files: reading them needs h5py (pip install h5py)") from None
    name, data = os.fspath(path), hdf5.read(path, "networks of SLAYER")
    try:
        with h5py.File(data, "r") as file:
            return _file(file)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{name}: a damaged or cut HDF5 file ({' '.join(str(error).split())})") from None


def _file(file: "h5py.File") -> File:
    import h5py

    layers = file.get("layer")
    if not isinstance(layers, h5py.Group) or not len(layers):
        also = " (it looks like NIR)" if "node" in file and "edge" in file else ""
        raise InputError(f"an HDF5 file, but no network of SLAYER: it has no layers under 'layer'{also}")
    if sorted(layers) != sorted(str(k) for k in range(len(layers))):
        raise InputError(f"its layers are named {', '.join(sorted(layers)[:4])} ..., 0 to {len(layers) - 1} are needed")
    groups = [layers[str(k)] for k in range(len(layers))]
    for k, group in enumerate(groups):
        if not isinstance(group, h5py.Group):
            raise InputError(f"layer {k} is no group")
    return File(tuple(_layer(k, group) for k, group in enumerate(groups)), _time_steps(file))


def _time_steps(file: "h5py.File") -> int | None:
    if "simulation/tSample" not in file:
        return None
    length = float(hdf5.value(file["simulation/tSample"]))
    step = float(hdf5.value(file["simulation/Ts"])) if "simulation/Ts" in file else 1.0
    return round(length / step) if step > 0 else None


def _layer(place: int, group: "h5py.Group") -> Layer:
    kind = str(_value(group.get("type"), f"layer {place}: 'type'"))
    if kind in OTHER_KINDS:
        raise InputError(f"layer {place} ({kind}): {OTHER_KINDS[kind]} is not supported")
    if kind not in KEYS:
        raise InputError(f"layer {place}: unknown type '{kind}', known are {', '.join(KEYS)}")
    where = f"layer {place} ({kind})"
    if "weight" in group and not hasattr(group["weight"], "dtype"):
        raise InputError(f"{where}: its weights are complex, as of resonate-and-fire neurons, which are not supported")
    for key in group:
        if key not in ("type", "shape", *KEYS[kind]):
            raise InputError(f"{where}: unknown key '{key}'")
    values = {key: _numbers(group[key], f"{where}: '{key}'") for key in group if key not in ("type", "shape", "neuron")}
    neuron = {key: _value(item, f"{where}: 'neuron/{key}'") for key, item in group.get("neuron", {}).items()}
    return Layer(place, kind, _shape(group.get("shape"), where), values, neuron)


def _shape(item: Any, where: str) -> tuple[int, ...] | None:
    """The shape of a layer; None where it was not known when the file was written."""
    import h5py

    if item is None or (isinstance(item, h5py.Dataset) and not item.shape):
        return None
    sizes = _numbers(item, f"{where}: 'shape'")
    possible = sizes.ndim == 1 and 1 <= sizes.size <= 3 and sizes.min() >= 1 and sizes.prod() < 1 << 31
    if not possible or (sizes != np.rint(sizes)).any():
        raise InputError(f"{where}: its shape is {sizes.tolist()}")
    return tuple(int(n) for n in sizes)


def _value(item: Any, what: str) -> FloatArray | str:
    """A dataset: numbers, or one text."""
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise InputError(f"{what} is missing")
    if item.dtype.kind not in "SOU":
        return _numbers(item, what)
    value = hdf5.value(item)
    first = value.flat[0] if isinstance(value, np.ndarray) and value.size else value
    if not isinstance(first, bytes | str):
        raise InputError(f"{what} is no text")
    return first.decode("ascii", errors="replace") if isinstance(first, bytes) else first


def _numbers(item: Any, what: str) -> FloatArray:
    import h5py

    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biuf" or item.shape is None:
        raise InputError(f"{what} holds no numbers")
    return finite(item[()], what)
