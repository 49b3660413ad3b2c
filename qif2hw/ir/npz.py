"""Weights from elsewhere: a layered `Network` from bare arrays in an npz file."""

import math
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_array_header_2_0, read_magic

from qif2hw.errors import InputError
from qif2hw.files import BROKEN_ZIP, open_file, reason
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.large import empty, places, release, sealed, transposed
from qif2hw.ir.network import Network, layered
from qif2hw.ir.synapses import Sparse
from qif2hw.neuron import QIF

MAX_BYTES = 256 * 2**20
"""Compressed arrays larger than this, all together and unpacked, are refused; others may be as large as their file."""


def import_npz(
    path: str | os.PathLike[str],
    *,
    trial: float,
    encode: tuple[float, float],
    tau: float = 6 / math.pi,
    i0: float = 1.25,
    scale: float = 1.0,
    offset: float = 0.0,
    first_spike: bool = False,
) -> Network:
    """A layered network from the arrays of an npz file.

    Parameters
    ----------
    path
        The file: keys ``w0``, ``w1``, ... (one array (post, pre) per layer) and ``phi0`` (initial phases of
        all neurons, layer by layer, in time units).  A sparse layer has ``w0.data``, ``w0.indices``, ``w0.indptr`` and
        ``w0.shape`` instead, as ``scipy.sparse.csr_array`` calls them.
    trial, encode
        Trial length; earliest and latest spike time of an input, inside ``(0, trial)``.
    tau, i0
        Parameters of all neurons.
    scale, offset
        Output ``m`` is ``offset + scale (t[2m+1] - t[2m])`` of the last layer's first spikes.
    first_spike
        The class is that of the neuron of the last layer that spikes first, see `qif2hw.ir.FirstSpike`.

    Raises
    ------
    InputError
        On a file that is no npz, wrong keys, types or shapes, or values that no network can have.
    """
    neuron = QIF(tau, i0)
    if first_spike and (scale, offset) != (1.0, 0.0):
        raise InputError(f"scale = {scale:g}, offset = {offset:g}: they are for differences, not for the first spike")
    try:
        arrays = _read(Path(path))
        weights, phases, synapses = _layers(arrays)
        return layered(
            weights, phases, synapses=synapses, trial=trial, encode=encode, neuron=neuron, scale=scale, offset=offset,
            first_spike=first_spike,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def _read(path: Path) -> dict[str, FloatArray]:
    if path.is_dir():
        raise InputError("this is a folder, an npz file is needed")
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            # Sizes come from the zip directory: checked before anything is unpacked.
            stored = [m.file_size for m in archive.infolist() if m.compress_type == zipfile.ZIP_STORED]
            if sum(m.file_size for m in archive.infolist()) - sum(stored) > MAX_BYTES:
                raise InputError(f"larger than the limit of {MAX_BYTES} bytes")
            if sum(stored) > file.seek(0, os.SEEK_END):
                raise InputError("its arrays are larger than the file")
            return {m.filename.removesuffix(".npy"): _member(archive, m) for m in archive.infolist()}
    except InputError:
        raise
    except MemoryError:
        raise InputError("too large for the memory") from None
    except OSError as error:
        raise InputError(f"cannot be read ({reason(error)})") from None
    except zipfile.BadZipFile:
        raise InputError("not an npz file, or a damaged one (numpy.savez writes them)") from None
    except BROKEN_ZIP as error:
        raise InputError(f"cannot be read ({str(error).partition(chr(10))[0]})") from None


# Untyped in numpy.
_MAGIC: Any = read_magic
_HEADERS: dict[tuple[int, int], Any] = {(1, 0): read_array_header_1_0, (2, 0): read_array_header_2_0}


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> FloatArray:
    """An array, read-only, in blocks: it may be larger than the memory."""
    key = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        try:
            read_header = _HEADERS.get(_MAGIC(file))
        except ValueError:
            raise InputError(f"'{key}' is not an array") from None
        if read_header is None:
            raise InputError(f"'{key}' is not an array of numbers")
        shape, turned, kind = read_header(file)
        if kind.hasobject:
            raise InputError(f"'{key}' cannot be read (it holds pickled objects, which can run code)")
        if kind.kind not in "fiu":
            raise InputError(f"'{key}' has type {kind}: real numbers are needed")
        size = math.prod(shape)
        if min(shape, default=0) < 0 or size * kind.itemsize > member.file_size:
            raise InputError(f"'{key}' has fewer values than its shape {shape} needs")
        array = empty(shape[::-1] if turned else shape, np.float64)
        into = array.reshape(-1)
        for place in places(into):
            block = into[place]
            data = file.read(block.size * kind.itemsize)
            if len(data) < block.size * kind.itemsize:
                raise InputError(f"'{key}' has fewer values than its shape {shape} needs")
            block[:] = np.frombuffer(data, kind)
            release(array)
        # At its end the member is compared with its checksum.
        file.read(1)
    if turned:
        array = transposed(array) if array.ndim == 2 else np.ascontiguousarray(array.T)
    return sealed(array)


_CSR = ("data", "indices", "indptr", "shape")


def _layers(arrays: dict[str, FloatArray]) -> tuple[list[FloatArray], list[FloatArray], list[Sparse | None]]:
    keys = {key: re.fullmatch(rf"w(0|[1-9]\d*)(?:\.({'|'.join(_CSR)}))?", key) for key in arrays}
    numbers = sorted({int(found[1]) for found in keys.values() if found})
    unknown = sorted(key for key, found in keys.items() if not found and key != "phi0")
    if unknown:
        raise InputError(f"unknown key '{unknown[0]}': only w0, w1, ..., their sparse parts, and phi0 are read")
    if not numbers or numbers != list(range(len(numbers))):
        missing = next(k for k in range(len(numbers) + 1) if k not in numbers)
        raise InputError(f"the key 'w{missing}' is missing: one array (post, pre) per layer is needed")
    if "phi0" not in arrays:
        raise InputError("the key 'phi0' is missing: the initial phases of all neurons, layer by layer")
    layers = [_layer(arrays, k) for k in numbers]
    shapes = [weight.shape if kind is None else kind.shape for weight, kind in layers]
    for k in range(1, len(shapes)):
        if shapes[k][1] != shapes[k - 1][0]:
            raise InputError(
                f"shapes do not chain: 'w{k}' {shapes[k]} expects {shapes[k][1]} neurons before it, "
                f"'w{k - 1}' {shapes[k - 1]} makes {shapes[k - 1][0]}"
            )
    sizes = [shape[0] for shape in shapes]
    phi0 = arrays["phi0"]
    if phi0.shape != (sum(sizes),):
        neurons = f"{' + '.join(map(str, sizes))} = {sum(sizes)}"
        raise InputError(f"'phi0' has shape {phi0.shape}: the layers have {neurons} neurons")
    weights, kinds = zip(*layers, strict=True)
    return list(weights), np.split(phi0, np.cumsum(sizes)[:-1]), list(kinds)


def _layer(arrays: dict[str, FloatArray], k: int) -> tuple[FloatArray, Sparse | None]:
    """Weights of one layer, and its synapses where they are listed."""
    name = f"w{k}"
    found = [part for part in _CSR if f"{name}.{part}" in arrays]
    if name in arrays:
        if found:
            raise InputError(f"the layer '{name}' is given twice: as '{name}' and as '{name}.{found[0]}'")
        weight = arrays[name]
        if weight.ndim != 2 or 0 in weight.shape:
            raise InputError(f"'{name}' has shape {weight.shape}: (post, pre) is needed")
        return weight, None
    for part in _CSR:
        if part not in found:
            raise InputError(f"the key '{name}.{part}' is missing: a sparse layer has {', '.join(_CSR)}")
    data, indices, indptr, shape = (arrays[f"{name}.{part}"] for part in _CSR)
    if shape.shape != (2,) or indptr.ndim != 1 or indptr.size != shape[0] + 1:
        raise InputError(f"'{name}.shape' must be (post, pre), with post + 1 entries in '{name}.indptr'")
    for part, values in (("indices", indices), ("indptr", indptr), ("shape", shape)):
        if values.ndim != 1 or (np.abs(values) > 1 << 53).any() or (values != np.rint(values)).any():
            raise InputError(f"'{name}.{part}' must be a list of integers")
    try:
        kind = Sparse(indptr.astype(np.int64), indices.astype(np.int64), int(shape[1]))
        kind.check(data, f"'{name}.data'")
    except InputError as error:
        raise InputError(f"'{name}': {error}") from None
    return data, kind
