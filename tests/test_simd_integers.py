"""Vectors of integers: every operation equals numpy's on the same numbers, of 32 and of 64 bits."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qif2hw import simd_integers as vec
from qif2hw.machinecode import compiled
from qif2hw.simd_integers import LANES


@compiled
def _all(a, b, shift, number, table, out, flags):  # type: ignore[no-untyped-def]
    x, y, by = vec.load(a, 0), vec.load(b, 0), vec.load(shift, 0)
    vec.store(out[0], 0, x + y)
    vec.store(out[1], 0, x - number)
    vec.store(out[2], 0, x * y)
    vec.store(out[3], 0, x >> by)
    vec.store(out[4], 0, y << 3)
    vec.store(out[5], 0, (x & y) | number)
    vec.store(out[6], 0, vec.smaller(x, y))
    vec.store(out[7], 0, vec.larger(x, number))
    vec.store(out[8], 0, vec.negative(x))
    vec.store(out[9], 0, vec.bit_lengths(by))
    vec.store(out[10], 0, vec.where(vec.less(x, y) & ~vec.equal(by, 1), x, vec.splat(x, number)))
    vec.store(out[11], 0, vec.cut(x, vec.wide(x) * vec.wide(y) >> 7))
    vec.store(out[12], 0, vec.cut(x, vec.gather(table, by)))
    flags[0] = vec.bits_of(vec.at_least(x, y))
    flags[1] = vec.bits_of(vec.less(x, number) | vec.equal(y, number))


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_operations(kind: Any) -> None:
    rng = np.random.default_rng(0)
    ends = np.iinfo(kind)
    a, b = (rng.integers(-(1 << 20), 1 << 20, LANES).astype(kind) for _ in range(2))
    a[:4], b[:4] = [ends.min, ends.max, 0, -1], [0, 1, 0, ends.min]
    shift = rng.integers(0, 31, LANES).astype(kind)
    shift[:3] = [0, 1, 2]
    table, number = rng.integers(-(1 << 30), 1 << 30, 64), -5
    out, flags = np.zeros((13, LANES), kind), np.zeros(2, np.uint64)
    _all(a, b, shift, number, table, out, flags)
    product = [(int(p) * int(q) + 2**63) % 2**64 - 2**63 >> 7 for p, q in zip(a, b, strict=True)]
    with np.errstate(over="ignore"):
        expected: list[NDArray[Any]] = [
            a + b, a - kind(number * -1) * kind(-1), a * b, a >> shift, b << kind(3), (a & b) | kind(number),
            np.minimum(a, b), np.maximum(a, kind(number)), -a, np.array([int(s).bit_length() for s in shift]),
            np.where((a < b) & (shift != 1), a, kind(number)), np.array(product).astype(kind),
            table[shift].astype(kind),
        ]  # fmt: skip
    for row, wanted in zip(out, expected, strict=True):
        np.testing.assert_array_equal(row, wanted.astype(kind))
    lanes = np.uint64(1) << np.arange(LANES, dtype=np.uint64)
    assert flags[0] == lanes[a >= b].sum()
    assert flags[1] == lanes[(a < number) | (b == number)].sum()
