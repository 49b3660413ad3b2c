"""A bound over the whole domain: more than every error that is found in it; resumed, it is the same."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles.nets import random_layers
from parity.conftest import compiled

from qif2hw import engine, reference, zoo
from qif2hw.engine import encode
from qif2hw.errors import InputError
from qif2hw.ir import Program
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.parity import certify, certify_domain
from qif2hw.parity.certificates.cells import _other_orders, cells_of


def sampled(program, samples):
    x = np.random.default_rng(0).random((samples, program.inputs))
    return np.abs(engine.run(program, x).y - reference.run(program.network(), x).y)


def test_one_input_is_proven_and_resumed(tmp_path: Path) -> None:
    program = compiled(random_layers((1, 6, 2), 3), steps=64, payload_bits=4)
    found = certify_domain(program)
    assert found.share == 1
    largest = sampled(program, 20000).max()
    assert largest <= found.error <= 20 * largest
    # Every input falls into one of the cells that were looked at.
    x = np.random.default_rng(1).random((5000, 1))
    ticks = {tuple(t) for t in np.concatenate(encode(program, x), axis=1)}
    assert len(ticks) <= found.cells
    part = certify_domain(program, most=100, state=tmp_path / "s.json")
    assert part.tried == 100
    seen: list[int] = []
    whole = certify_domain(program, state=tmp_path / "s.json", progress=lambda done, _: seen.append(done))
    assert whole == found
    assert seen[-1] == found.cells
    for other in (
        compiled(random_layers((1, 6, 2), 4), steps=64, payload_bits=4),
        compiled(random_layers((1, 6, 2), 3), steps=64, payload_bits=4, table_bits=3),
    ):
        with pytest.raises(InputError, match="another program"):
            certify_domain(other, state=tmp_path / "s.json")
    with pytest.raises(InputError, match="a domain of 3 inputs"):
        certify_domain(compiled(random_layers((3, 6, 2), 3), steps=64))


@pytest.mark.parametrize(
    "changed",
    [
        {"tried": float("inf")},
        {"tried": -1},
        {"proven": 101},
        {"error": float("nan")},
        {"measure": -1.0},
        {"worst": None},
        {"worst": ["a"]},
        {"cells": "many"},
    ],
    ids=str,
)
def test_a_record_that_is_none(changed: dict[str, object], tmp_path: Path) -> None:
    program, path = compiled(random_layers((1, 3, 2), 3), steps=32, payload_bits=2), tmp_path / "s.json"
    certify_domain(program, most=100, state=path)
    kept = path.read_text()
    path.write_text(json.dumps(json.loads(kept) | changed))
    with pytest.raises(InputError, match=r"s\.json: (no record|its numbers are those of no) "):
        certify_domain(program, state=path)
    for text in ("[" * 100000, kept.replace('"tried": ', '"tried": 1e999'), ""):
        path.write_text(text)
        with pytest.raises(InputError, match=r"s\.json: no record"):
            certify_domain(program, state=path)


def with_fields(count: int, inputs: int = 1) -> Program:
    host = Host(tuple(Input(f"x{k}", -1.0, 3.0, fields=ReceptiveFields(count)) for k in range(inputs)), (Output("y"),))
    return compiled(replace(random_layers((count * inputs, 5, 2), 5), host=host), steps=32, payload_bits=2)


def test_cells_of_receptive_fields_are_all_that_there_are() -> None:
    program = with_fields(4)
    (cells,) = cells_of(program)
    x = np.random.default_rng(1).uniform(-1, 3, (20000, 1))
    step, late = encode(program, x)
    seen = (step.astype(int) << program.grid.lateness_bits) - late
    known = {tuple(ticks) for ticks in cells.ticks}
    assert {tuple(ticks) for ticks in seen} <= known
    assert cells.width.sum() == pytest.approx(1, abs=1e-12)
    # As often as the cell is wide.
    wide = int(cells.width.argmax())
    assert np.mean((seen == cells.ticks[wide]).all(axis=1)) == pytest.approx(cells.width[wide], rel=0.2)


def test_cuts_that_cannot_be_told_apart_have_both_orders() -> None:
    ticks = np.array([[3, 5], [3, 6], [4, 6]])
    mixed, where = _other_orders(np.array([0.0, 0.5, 0.5 + 1e-14, 1.0]), ticks)
    assert {tuple(row) for row in mixed[0]} == {(3, 5), (3, 6), (4, 5), (4, 6)}
    assert where.tolist() == [0.5] * 4
    assert _other_orders(np.array([0.0, 0.4, 0.5, 1.0]), ticks)[0] == []


def test_cuts_are_mixed_with_those_near_them_alone() -> None:
    ticks = np.array([[3, 5], [3, 6], [4, 6], [4, 7], [5, 7]])
    mixed, where = _other_orders(np.array([0.0, 0.25, 0.25 + 1e-14, 0.75, 0.75 + 1e-14, 1.0]), ticks)
    orders = [{tuple(row) for row in one} for one in mixed]
    assert orders == [{(3, 5), (3, 6), (4, 5), (4, 6)}, {(4, 6), (4, 7), (5, 6), (5, 7)}]
    assert where.tolist() == [0.25] * 4 + [0.75] * 4


def test_a_domain_with_receptive_fields_is_proven() -> None:
    program = with_fields(3)
    found = certify_domain(program)
    x = np.random.default_rng(0).uniform(-1, 3, (5000, 1))
    largest = np.abs(engine.run(program, x).y - reference.run(program.network(), x).y).max()
    assert found.share == 1
    assert largest <= found.error <= 20 * largest
    assert -1 <= found.worst[0] <= 3
    part = certify_domain(with_fields(3, inputs=2), most=50)
    assert 0 < part.share < 0.1


def test_a_cell_holds_for_all_its_inputs() -> None:
    program = zoo.bundle("ricker").program
    rng = np.random.default_rng(0)
    x, half = rng.random((20, 2)), 0.5 * program.grid.tick
    span = program.encoders[0].latest - program.encoders[0].earliest
    found = certify(program, x, reach=half)
    for _ in range(5):
        near = np.clip(x + rng.uniform(-1, 1, x.shape) * 2 * half / span, 0, 1)
        # Those that the machine rounds to the same ticks.
        same = np.all(
            [(a == b).all(axis=1) for a, b in zip(encode(program, x), encode(program, near), strict=True)], axis=0
        )
        error = found.run.y - reference.run(program.network(), near).y
        assert same.any()
        assert (np.abs(error - found.result.estimate) <= found.result.radius)[same].all()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_parabola_is_proven() -> None:
    program = zoo.bundle("parabola").program
    found = certify_domain(program)
    largest = sampled(program, 20000).max()
    print(found, largest)
    assert found.share == 1
    assert largest <= found.error <= 20 * largest
