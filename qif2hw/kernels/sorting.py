"""The temporal order of the input spikes of a sample."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qif2hw.machinecode import compiled
from qif2hw.simd import Ints, Reals, count_bits, load, ones_where_less, splat, store, width

_RUN = 64
"""Spikes of a block that is sorted by counting."""

_FEW = 3 * _RUN
"""Spikes that are sorted in blocks and merged; more of them by digits."""

_DIGITS = 256
"""Values of a digit, a byte of a time in float32."""

_NEAR = 8
"""Places, to either side, among which a spike of an almost sorted sequence is sought."""


class Room(NamedTuple):
    """Scratch arrays of a sort: times, times in float32 and counts, indices twice, counts of digits."""

    key: Reals
    near: NDArray[np.float32]
    source: Ints
    spare: Ints
    tally: Ints


@compiled
def room_for(spikes, like):  # type: ignore[no-untyped-def]
    """Scratch arrays to sort up to ``spikes`` times with the element type of the array ``like``."""
    near = np.empty(2 * (spikes + _RUN), np.float32)
    source, spare, tally = np.empty(spikes, np.int32), np.empty(spikes, np.int32), np.empty(4 * _DIGITS, np.int32)
    return Room(np.empty(2 * spikes, like.dtype), near, source, spare, tally)


@compiled
def arrange(times, trial, room, order):  # type: ignore[no-untyped-def]
    """Put the indices of the spikes up to ``trial`` in temporal order; return how many, -1 for a bad time.

    Equal times keep the order of their indices.  ``times`` may be padded with infinity anywhere.
    """
    key, near, source, spare, tally = room
    count = 0
    for q in range(times.size):
        t = times[q]
        if not t >= 0.0:
            return -1
        if t <= trial:
            key[count] = t
            source[count] = q
            count += 1
    if count <= _FEW or not _by_digits(key, count, near, order, spare, tally):
        _by_merging(key, count, near, order, spare)
    for i in range(count):
        order[i] = source[np.uint32(order[i])]
    return count


@compiled
def _by_digits(key, count, near, order, spare, tally):  # type: ignore[no-untyped-def]
    """Sort by the bytes of the times in float32, the last one first; False if times that differ are equal there."""
    for e in range(count):
        near[e] = key[e]
    bits = near.view(np.uint32)
    tally[:] = 0
    for e in range(count):
        b = bits[e]
        for digit in range(4):
            tally[np.uint32(digit * _DIGITS) + ((b >> np.uint32(8 * digit)) & np.uint32(_DIGITS - 1))] += 1
    for e in range(count):
        order[e] = e
    for digit in range(4):
        shift, at = np.uint32(8 * digit), np.uint32(digit * _DIGITS)
        if tally[at + ((bits[0] >> shift) & np.uint32(_DIGITS - 1))] == count:
            continue
        before = 0
        for value in range(_DIGITS):
            many = tally[at + np.uint32(value)]
            tally[at + np.uint32(value)] = before
            before += many
        for i in range(count):
            own = np.uint32(order[i])
            place = at + ((bits[own] >> shift) & np.uint32(_DIGITS - 1))
            spare[np.uint32(tally[place])] = own
            tally[place] += 1
        order[:count] = spare[:count]
    falls = 0
    for i in range(count - 1):
        falls += key[np.uint32(order[i])] > key[np.uint32(order[i + 1])]
    return falls == 0


@compiled
def _by_merging(key, count, near, order, spare):  # type: ignore[no-untyped-def]
    for low in range(0, count, _RUN):
        _rank(key, low, min(low + _RUN, count), near, order)
    run = _RUN
    while run < count:
        for low in range(0, count, 2 * run):
            _merge(key, order, spare, low, min(low + run, count), min(low + 2 * run, count))
        order[:count] = spare[:count]
        run *= 2


@compiled
def settle(times, trial, room, order, sequence, count):  # type: ignore[no-untyped-def]
    """As `arrange`, where ``sequence[:count]`` are the indices of all spikes, and almost sorted already."""
    near = room.near
    given, placed = room.key, room.key[count:]
    falls = 0
    for e in range(count):
        given[e] = times[np.uint32(sequence[e])]
        placed[e] = np.nan
    for e in range(count - 1):
        falls += given[e] > given[e + 1]
    # Each finds its place.  If all places are taken and in order, they are the right ones.
    if 20 * falls <= 9 * count:
        moves = _count_inversions(given, count, near)
        for e in range(count):
            place = np.uint64(e + int(near[moves + e]))
            placed[place], order[place] = given[e], sequence[e]
    elif count <= _RUN:
        _count_earlier(given, count, near)
        for e in range(count):
            place = np.uint64(near[_RUN + e])
            placed[place], order[place] = given[e], sequence[e]
    settled = count == 0 or (placed[0] >= 0.0 and placed[count - 1] <= trial)
    for e in range(count - 1):
        settled &= placed[e] < placed[e + 1]
    return count if settled else arrange(times, trial, room, order)


@compiled
def _count_inversions(key, count, near):  # type: ignore[no-untyped-def]
    """Write to ``near``, from the index returned on, how far each key must move within `_NEAR` places, in float32."""
    lanes = width(near)
    moves = count + 2 * lanes
    for e in range(lanes):
        near[e], near[lanes + count + e] = -np.inf, np.inf
    for e in range(count):
        near[lanes + e] = key[e]
    for e in range(0, count, lanes):
        at = lanes + e
        own = load(near, at)
        move = splat(near, 0.0)
        for distance in range(1, _NEAR + 1):
            move = move + ones_where_less(load(near, at + distance), own)
            move = move - ones_where_less(own, load(near, at - distance))
        store(near, moves + e, move)
    return moves


@compiled
def _count_earlier(key, count, near):  # type: ignore[no-untyped-def]
    """Put into ``near[_RUN:]``, for each of at most `_RUN` keys, how many are less even in float32."""
    lanes = width(near)
    for e in range(count):
        near[e] = key[e]
    k, l, m, n = load(near, 0), load(near, lanes), load(near, 2 * lanes), load(near, 3 * lanes)
    p = q = r = s = splat(near, 0.0)
    for e in range(count):
        t = splat(near, near[e])
        p, q = p + ones_where_less(t, k), q + ones_where_less(t, l)
        r, s = r + ones_where_less(t, m), s + ones_where_less(t, n)
    at = _RUN
    for earlier in (p, q, r, s):
        store(near, at, earlier)
        at += lanes


@compiled
def _rank(key, low, high, near, order):  # type: ignore[no-untyped-def]
    """Sort a block by counting, for each key, those that come before it."""
    _count_earlier(key[low:high], high - low, near)
    taken = np.uint64(0)
    for i in range(high - low):
        rank = np.uint64(near[_RUN + i])
        order[np.uint64(low) + rank] = low + i
        taken |= np.uint64(1) << rank
    if count_bits(taken) == high - low:
        return
    for i in range(low, high):
        rank = low
        for other in range(low, high):
            rank += key[other] < key[i] or (key[other] == key[i] and other < i)
        order[rank] = i


@compiled
def _merge(key, order, merged, low, middle, high):  # type: ignore[no-untyped-def]
    left, right = low, middle
    for at in range(low, high):
        if right >= high or (left < middle and key[order[left]] <= key[order[right]]):
            merged[at] = order[left]
            left += 1
        else:
            merged[at] = order[right]
            right += 1
