"""Intervals hold every result of their members, and the proof every value that the specification computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import branched, ordinary, published

from qif2hw.compiler import State, load_target, parse_passes, run_passes
from qif2hw.compiler.default_inputs import spread
from qif2hw.compiler.intervals import Register, Registers, _bits
from qif2hw.compiler.passes.ranges import PopulationRange, Ranges, range_of
from qif2hw.compiler.passes.registers import _too_narrow
from qif2hw.compiler.proof import ProofError, prove
from qif2hw.engine import curve, integers, plane, spec
from qif2hw.errors import InputError
from qif2hw.ir import PlaneVector, Program, ProgramPopulation, Table, TimeGrid

OPERATIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda a, b, _: a + b,
    "difference": lambda a, b, _: a - b,
    "product": lambda a, b, _: a * b,
    "square": lambda a, b, _: a * a,
    "negative": lambda a, b, _: -a,
    "times a number": lambda a, b, _: np.int64(7) * a - b * 3,
    "left shift": lambda a, b, s: a << s,
    "right shift": lambda a, b, s: a >> s,
    "rounded shift": lambda a, b, s: integers.rounded_shift(a, s),
    "quotient": lambda a, b, _: a // np.maximum(b, 1),
    "larger": lambda a, b, _: np.maximum(a, b),
    "smaller": lambda a, b, _: np.minimum(a, 5),
    "size": lambda a, b, _: np.abs(a),
    "low bits": lambda a, b, s: a & ((np.int64(1) << s) - 1),
    "clip": lambda a, b, _: np.clip(a, -20, 30),
    "choice": lambda a, b, _: np.where(a < b, a, -b),
    "logic": lambda a, b, _: np.where(((a >= b) & (a != 0)) | ~(b <= 3), a + 1, b),
    "equality": lambda a, b, _: (a == b).astype(np.int64) + (a > 2).astype(np.int64),
    "product that is known to stay": lambda a, b, _: integers.product_within(a, b, lambda: 160 * 160),
    "left shift that is known to stay": lambda a, b, s: integers.shifted_within(a, s, 160 << 7),
    "highest bit": lambda a, b, _: integers.bit_length(np.abs(a)),
    "stack": lambda a, b, _: np.stack([a, b])[1] + np.zeros_like(a),
    "table": lambda a, b, _: integers.entry(np.array([3, -1, 4, 1, -5, 9, 2, 6]), np.clip(a, 0, 7)),
    "table of two indices": lambda a, b, _: integers.entry(
        np.arange(24).reshape(4, 6) % 7, np.clip(a, 0, 3), np.clip(b, 0, 5)
    ),
}
ends = st.tuples(st.integers(-100, 100), st.integers(0, 60))
places = st.lists(st.floats(0, 1), min_size=6, max_size=6)


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=60, deadline=None)
@given(a=ends, b=ends, s=st.tuples(st.integers(0, 4), st.integers(0, 3)), at=places)
def test_intervals_hold_what_their_members_make(
    name: str, a: tuple[int, int], b: tuple[int, int], s: tuple[int, int], at: list[float]
) -> None:
    registers = Registers()
    boxes = [registers.interval([low], [low + size]) for low, size in (a, b, s)]
    values = [np.array([low + round(place * size) for place in at]) for (low, size) in (a, b, s)]
    for members in (values, [v[:1] for v in values], [np.full(1, e[0]) for e in (a, b, s)]):
        found, box = OPERATIONS[name](*members), OPERATIONS[name](*boxes)
        assert (box.low <= found).all()
        assert (found <= box.high).all()
        register = Register(int(box.low.min()), int(box.high.max()), 64, box.widest)
        assert (found >= -(1 << (register.bits - 1))).all()
        assert (found < 1 << (register.bits - 1)).all()
        assert register.widest >= register.bits


def test_a_number_of_one_member_stays_one() -> None:
    registers = Registers()
    a, b = registers.interval([-13], [-13]), registers.interval([5], [5])
    for name, operation in OPERATIONS.items():
        result = operation(a, b, registers.interval([2], [2]))
        expected = operation(np.array([-13]), np.array([5]), np.array([2]))
        assert result.low == result.high == expected, name


def test_an_array_of_numbers_has_its_length() -> None:
    a = Registers().interval([1, 2, 3], [4, 5, 6])
    assert len(a) == len(a.low) == 3
    assert [(int(one.low), int(one.high)) for one in a] == [(1, 4), (2, 5), (3, 6)]


def test_what_is_too_wide_on_the_way_is_not_forgotten() -> None:
    wide = Registers().interval([1 << 40], [1 << 40])
    small = (wide * wide) >> 70
    assert small.high == 1 << 10
    assert small.widest == 82
    assert not Register(0, 1 << 10, 64, small.widest).fits


@pytest.mark.parametrize("over", [0, 1], ids=["fits", "too wide"])
def test_arguments_too_wide_for_a_function_are_marked(over: int) -> None:
    most = (1 << (integers.MEASURED_BITS - 1)) - 1 + over
    found = Registers().interval([0], [most]).at_ends(integers.bit_length, "bit length", None)
    assert (found.widest > integers.PRODUCT_BITS) == bool(over)


def test_an_index_outside_a_table_is_an_error() -> None:
    with pytest.raises(IndexError, match="indices from 2 to 8 in a table of 8"):
        integers.entry(np.arange(8), Registers().interval([2], [8]))


@settings(max_examples=50, deadline=None)
@given(first=st.integers(0, 12), more=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
def test_functions_that_are_marked_so_never_fall(first: int, more: int, seed: int) -> None:
    table = Table(np.zeros(400, np.int32), first + more, first)
    x = np.unique(np.random.default_rng(seed).integers(0, 1 << 22, 3000))
    assert (np.diff(curve.knot_before(table, x)) >= 0).all()
    assert (np.diff(integers.bit_length(x)) >= 0).all()


@contextmanager
def recorded() -> Iterator[dict[str, list[np.ndarray]]]:
    """Every value that the specification keeps, by name; and what it says to be within bounds must be."""
    found: dict[str, list[np.ndarray]] = {}

    def keep(name: str, value: np.ndarray, bits: int = 64) -> np.ndarray:
        found.setdefault(name, []).append(value)
        return value

    def within(value: np.ndarray, low: int, high: int) -> np.ndarray:
        assert value.min() >= low
        assert value.max() <= high
        return value

    def shifted_within(value: np.ndarray, bits: np.ndarray, most: int) -> np.ndarray:
        return np.where(bits > 0, within(np.where(bits > 0, value << bits, 0), -most, most), value)

    def product_within(value: np.ndarray, other: np.ndarray, most: Callable[[], int]) -> np.ndarray:
        return within(value * other, -most(), most())

    with (
        mock.patch.object(spec, "keep", keep),
        mock.patch.object(curve, "keep", keep),
        mock.patch.object(plane, "keep", keep),
        mock.patch.object(plane, "within", within),
        mock.patch.object(plane, "shifted_within", shifted_within),
        mock.patch.object(curve, "product_within", product_within),
    ):
        yield found


def compiled(network: Any, text: str, target: str = "loihi2") -> State:
    state = State.start(network, load_target(target), spread(64, network.inputs))
    return run_passes(state, parse_passes(text))[0]


def sums(rng: np.random.Generator, load: PopulationRange, most: int, shape: tuple[int, ...]) -> np.ndarray:
    """Of weights times something up to ``most``: any, and the largest and none of them now and then."""
    low, high = -load.load.down * most, load.load.up * most
    ends = np.array([low, 0, high])[rng.integers(0, 3, shape)]
    return np.where(rng.random(shape) < 0.5, ends, rng.integers(low, high + 1, shape))


def states(rng: np.random.Generator, population: ProgramPopulation, grid: TimeGrid, samples: int) -> np.ndarray:
    shape = (samples, population.size)
    if not isinstance(population.ptc, PlaneVector):
        near = (
            rng.integers(-3, 4, shape) + np.array([0, grid.threshold // 2, grid.threshold])[rng.integers(0, 3, shape)]
        )
        phase = np.where(rng.random(shape) < 0.3, near, rng.integers(0, grid.threshold, shape))
        return np.clip(phase, 0, grid.threshold - 1)[None].astype(np.int64)
    angle = np.where(rng.random(shape) < 0.2, np.pi * rng.integers(0, 5, shape) / 4, rng.random(shape) * 2 * np.pi)
    size = rng.uniform(0.5, 1.4, shape)
    x, y = (np.clip(np.rint(size * c(angle) * plane.LONGEST), -plane.LONGEST, plane.LONGEST) for c in (np.cos, np.sin))
    return np.stack([x, y]).astype(np.int64)


@settings(max_examples=40, deadline=None)
@given(
    form=st.sampled_from([("cotangent", 1), ("cotangent", 2), ("grid", 1), ("plane", 1), ("plane", 2), ("plane", 0)]),
    kind=st.sampled_from(["ordinary", "published", "branched"]),
    gain=st.sampled_from([0.01, 1.0, 10.0, 100.0]),
    bits=st.integers(2, 8),
    payload=st.integers(0, 8),
    steps=st.integers(16, 300),
    table_bits=st.integers(2, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_proof_holds_every_value_of_every_run(
    form: tuple[str, int], kind: str, gain: float, bits: int, payload: int, steps: int, table_bits: int, seed: int
) -> None:
    network = {
        "ordinary": lambda: ordinary((2, 5, 4, 2), seed, gain),
        "published": lambda: published((2, 6, 2), seed),
        "branched": lambda: branched(seed),
    }[kind]()
    text = (
        f"time-grid{{steps={steps} lateness_bits={payload}}},weights{{bits={bits}}},ranges{{fewest_payload_bits=0}},"
        f"tables{{form={form[0]} moments={max(1, form[1])} table_bits={table_bits}}},lower"
    )
    # Without moments: on narrow products.
    try:
        state = compiled(network, text, "loihi2" if form[1] else "loihi2-microcode")
    except InputError:
        if gain > 1:
            return
        raise
    rng, grid = np.random.default_rng(seed), state[TimeGrid]
    late = max(1, grid.ticks - 1)
    for population in state[Program].populations:
        found = state[Ranges].populations[population.name]
        proven = prove(population, grid, found)
        now = states(rng, population, grid, 300)
        shape = now.shape[1:]
        nothing = np.zeros(shape, np.int64)
        with recorded() as kept:
            before = np.broadcast_to(spec.start(population, grid)[:, None], now.shape)
            for m in range(1 - population.depth, 1):
                before = spec.step(population, grid, m, before, nothing, nothing, nothing).state
            for m in (1, grid.trial_steps):
                got = [sums(rng, found, most, shape) for most in (1, late, late * late >> grid.lateness_bits)]
                ends = []
                for start in (now, before):
                    out = spec.step(population, grid, m, start, *got)
                    ends.append(out.state)
                    assert out.payload.min() >= 0
                    assert out.payload.max() <= late
            pull = rng.integers(-found.flush_max, found.flush_max + 1, shape)
            # After the last step: the vector may have become shorter in it.
            for start in ends:
                flush = spec.step(population, grid, grid.trial_steps + 1, start, nothing, pull, nothing)
                assert flush.payload.min() >= 0
                assert flush.payload.max() <= (grid.threshold >> population.flush_drop) + 1
        assert set(kept) <= set(proven)
        for name, values in kept.items():
            assert min(v.min() for v in values) >= proven[name].low, name
            assert max(v.max() for v in values) <= proven[name].high, name


def test_what_the_induction_assumes_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    state = compiled(ordinary((1, 4, 2)), "time-grid{steps=64},weights,ranges,tables{form=cotangent},lower")
    population = state[Program].populations[0]
    found = state[Ranges].populations[population.name]
    prove(population, state[TimeGrid], found)
    monkeypatch.setattr("qif2hw.compiler.proof._latest", lambda grid: grid.ticks // 2)
    with pytest.raises(ProofError, match="payload of population 'hidden1' from 0 to 255: 0 to 128 were assumed"):
        prove(population, state[TimeGrid], found)


def test_bits_are_the_fewest_that_hold_both_ends() -> None:
    for low in range(-17, 18):
        for high in range(max(low, 0), 18):
            fewest = next(b for b in range(1, 9) if -(1 << b - 1) <= low and high < 1 << b - 1)
            assert _bits(low, high) == fewest


def test_a_register_that_fits_is_not_what_is_too_narrow() -> None:
    """What does not fit is then a number on the way to it."""
    program = compiled(ordinary((2, 4, 2)), "time-grid,weights,ranges,tables,lower")[Program]
    population = program.populations[0]
    found = range_of(program, population.name)
    words = f"of population '{population.name}' may need"
    full = Register(0, 127, 8, 70, 62)
    assert f"a number before 'kick' {words} 70 bits, 62 there are" in _too_narrow("kick", full, population, found)
    over = Register(0, 128, 8, 9, 62)
    assert _too_narrow("kick", over, population, found).startswith(f"kick {words} 9 bits, 8 there are")
