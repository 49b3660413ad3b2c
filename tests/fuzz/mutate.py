"""Random changes of bytes, arrays and JSON values, with the numbers at which programs break."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator

POWERS = (7, 8, 15, 16, 20, 23, 24, 31, 32, 40, 47, 53, 62, 63, 64, 100, 2000)
WHOLE = [0, 1, -1, 2, 3, 1000, *(s * 2**k + d for k in POWERS for s in (1, -1) for d in (-1, 0, 1))]
REAL = [0.0, -0.0, 0.5, 1.0, -1.0, 5e-324, 1e-308, 1e-300, 1e-12, 1e6, 1e30, 1e155, 1e300, 1.7e308, -1.7e308]
ODD = [
    None,
    True,
    False,
    "",
    "x",
    "input",
    "output",
    "\n",
    "é" * 10,
    [],
    {},
    [1],
    {"array": "x"},
    float("nan"),
    float("inf"),
]
TYPES = ["<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u8", "<f2", "<f4", "<f8", "?"]


def pick(rng: Rng, values: list[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def value(rng: Rng, old: Any) -> Any:
    """Something in place of a value: mostly of its type."""
    kind = rng.integers(8)
    if kind == 0:
        return pick(rng, ODD)
    if kind == 1:
        return pick(rng, WHOLE)
    if isinstance(old, bool) or old is None or isinstance(old, str):
        return pick(rng, ODD)
    if isinstance(old, int):
        return pick(rng, [old + 1, old - 1, -old, 2 * old, old // 2, old << 8]) if kind < 4 else pick(rng, WHOLE)
    if isinstance(old, float):
        return pick(rng, [-old, 2 * old, old / 2, old * 1e3, old / 1e3]) if kind < 4 else pick(rng, REAL)
    return pick(rng, ODD)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values in a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(p for key, item in items for p in places(item, (*path, key)))]


def json_tree(rng: Rng, tree: Any) -> Any:
    """A JSON tree with a value replaced, left out, doubled or moved."""
    tree = copy.deepcopy(tree)
    path = pick(rng, places(tree)[1:])
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    old = parent[path[-1]]
    how = rng.integers(10)
    if how == 0:
        del parent[path[-1]]
    elif how == 1 and isinstance(parent, list):
        parent.insert(path[-1], copy.deepcopy(old))
    elif how == 2 and isinstance(parent, dict):
        parent[pick(rng, ["x", *parent])] = old
    elif isinstance(old, (dict, list)) and how < 6:
        parent[path[-1]] = json_tree(rng, old) if len(old) else value(rng, old)
    else:
        parent[path[-1]] = value(rng, old)
    return tree


def array(rng: Rng, old: NDArray[Any]) -> NDArray[Any]:
    """An array with other values, another type or another shape."""
    how = rng.integers(8)
    if how == 0:
        with np.errstate(all="ignore"):
            return old.astype(pick(rng, TYPES))
    if how == 1:
        return old.reshape(pick(rng, [(-1,), (1, *old.shape), (*old.shape, 1), old.shape[::-1]]))
    if how == 2:
        return old[: int(rng.integers(len(old) + 1))] if old.ndim else old
    if how == 3:
        return np.concatenate([old, old]) if old.ndim else old
    new = np.array(old)
    if new.size == 0:
        return np.zeros(int(rng.integers(5)), old.dtype)
    flat = new.reshape(-1)
    chosen = rng.integers(flat.size, size=1 if how < 6 else flat.size)
    if new.dtype.kind in "iu":
        info = np.iinfo(new.dtype)
        flat[chosen] = pick(rng, [n for n in WHOLE if info.min <= n <= info.max])
    elif new.dtype.kind == "f":
        with np.errstate(all="ignore"):
            flat[chosen] = pick(rng, [*REAL, np.nan, np.inf])
    return new


def some(rng: Rng, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays with one of them changed, left out, or under another name."""
    arrays = dict(arrays)
    name = pick(rng, sorted(arrays))
    how = rng.integers(12)
    if how == 0:
        del arrays[name]
    elif how == 1:
        arrays[pick(rng, ["x", "w9", *sorted(arrays)])] = arrays.pop(name)
    else:
        arrays[name] = array(rng, arrays[name])
    return arrays


def raw(rng: Rng, data: bytes) -> bytes:
    """Bytes flipped, cut, doubled or overwritten."""
    new = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(max(1, len(new))))
        size = int(rng.integers(1, 9))
        how = rng.integers(6)
        if how == 0 and new:
            new[at] ^= 1 << int(rng.integers(8))
        elif how == 1:
            del new[at : at + size]
        elif how == 2:
            new[at:at] = new[at : at + size]
        elif how == 3:
            new[at : at + size] = bytes(rng.integers(256, size=size, dtype=np.uint8))
        elif how == 4:
            new[at : at + size] = pick(rng, [b"\0", b"\xff"]) * size
        elif rng.integers(4) == 0:
            del new[at:]
    return bytes(new)
