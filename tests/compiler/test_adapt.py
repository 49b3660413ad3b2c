"""Adaptive rounding: the result survives 8 bits without retraining."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from networks import branched, listed, ordinary, published

from qif2hw import reference
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.compiler.default_inputs import spread
from qif2hw.compiler.passes import adapt as adapt_module
from qif2hw.ir import Network
from qif2hw.ir.weight_grid import largest_weight, round_to_grid, weight_step


def result_error(network: Network, options: CompileOptions) -> float:
    """Of the rounded network, on inputs that the compiler has not seen."""
    x = np.random.default_rng(9).random((300, network.inputs))
    goal = reference.run(network, x).y
    got = reference.run(compile_network(network, options).program.network(), x).y
    return float(np.linalg.norm(got - goal) / np.linalg.norm(goal - goal.mean(axis=0)))


@pytest.mark.parametrize(
    ("network", "bits"),
    [
        (ordinary((1, 32, 32, 2), 1), 8),
        (ordinary((3, 20, 20, 2), 2), 8),
        (published((2, 24, 24, 2), 1), 8),
        (branched(1), 8),
    ],
    ids=["ordinary", "three inputs", "pseudospikes", "graph"],
)
def test_adapted_rounding_is_better_than_nearest_on_unseen_inputs(network: Network, bits: int) -> None:
    nearest, adapted = (
        result_error(network, CompileOptions(weight_bits=bits, rounding=rounding)) for rounding in ("nearest", "adapt")
    )
    assert adapted < nearest / 3


@pytest.mark.parametrize("seed", range(5))
def test_descent_ends_where_no_weight_can_move(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jacobian, exact = rng.normal(size=(10, 30)) + rng.normal(size=30), rng.uniform(-8, 8, 10)
    limit = np.full(10, 8)
    nearest = np.clip(np.rint(exact), -limit, limit).astype(np.int64)

    def cost(integers: np.ndarray) -> float:
        return float(np.sum((jacobian.T @ (integers - exact)) ** 2))

    found = adapt_module._flip(jacobian, jacobian.T @ (nearest - exact), nearest.copy(), exact, limit)
    assert cost(found) <= cost(nearest)
    for moved in (found + sign * one for sign in (1, -1) for one in np.eye(10, dtype=np.int64)):
        if (np.abs(moved - exact) < 1).all() and (np.abs(moved) <= limit).all():
            assert cost(moved) >= cost(found) - 1e-9


@pytest.mark.parametrize("inside", [0, 1, 5])
def test_weights_already_on_the_grid_stay(inside: int) -> None:
    """What quantization-aware training exports is deployed as it is, its largest weight a few levels inside or not."""
    most = largest_weight(6) - inside * weight_step(6)
    network = ordinary((2, 12, 12, 2), 4)
    on_grid = Network(
        network.trial,
        network.encoders,
        network.populations,
        tuple(
            type(p)(p.pre, p.post, round_to_grid(p.weight, np.abs(p.weight).max() / most, 6) * 0.01)
            for p in network.projections
        ),
        network.outputs,
    )
    program = compile_network(on_grid, CompileOptions(weight_bits=6)).program
    for before, after in zip(on_grid.projections, program.network().projections, strict=True):
        np.testing.assert_allclose(after.weight, before.weight, rtol=1e-12)


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_on_one_grid_stay_where_several_sources_share_it(bits: int) -> None:
    """One weight array may be exported as several projections onto a population: their largest weights differ."""
    network = branched(3)
    unit, step = 0.003, weight_step(bits)
    most = largest_weight(bits) // step
    rng = np.random.default_rng(0)
    projections = []
    for k, p in enumerate(network.projections):
        integers = rng.integers(-most, most + 1, p.weight.shape) if k % 2 else rng.integers(-2, 3, p.weight.shape)
        integers[0, 0] = most if k % 2 or p.post == "plain" else 1
        projections.append(type(p)(p.pre, p.post, integers * (unit * step)))
    on_grid = replace(network, projections=tuple(projections))
    program = compile_network(on_grid, CompileOptions(weight_bits=bits)).program
    for before, after in zip(on_grid.projections, program.network().projections, strict=True):
        np.testing.assert_allclose(after.weight, before.weight, rtol=1e-12)


def test_a_network_too_large_for_derivatives_is_rounded_to_nearest_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ordinary((1, 8, 8, 2))
    monkeypatch.setattr(adapt_module, "MOST_DERIVATIVES", 1000)
    monkeypatch.setattr(adapt_module, "MOST_STREAMED", 1000)
    adapted = compile_network(network)
    assert "too many derivatives" in adapted.report["adapt-rounding"]["skipped"]
    assert adapted.program == compile_network(network, CompileOptions(rounding="nearest")).program


@pytest.mark.parametrize("network", [ordinary((3, 12, 12, 2), 2), branched(1), listed(ordinary((1, 12, 12, 2)))])
def test_weights_in_blocks_are_as_good_as_all_at_once(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    """Blocks of a few neurons each, with derivatives that are never held together."""
    nearest, whole = (result_error(network, CompileOptions(rounding=rounding)) for rounding in ("nearest", "adapt"))
    monkeypatch.setattr(adapt_module, "HELD", 20_000)
    assert len(adapt_module._blocks(network, 512)) > 1
    blocks = result_error(network, CompileOptions())
    assert blocks < nearest / 3
    assert blocks < 3 * whole


def test_where_there_are_many_derivatives_fewer_inputs_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ordinary((1, 16, 16, 2))
    monkeypatch.setattr(adapt_module, "MOST_DERIVATIVES", 1000)
    monkeypatch.setattr(adapt_module, "MOST_ROWS", 100)
    found = compile_network(network).report["adapt-rounding"]
    assert found["samples"] == 100
    assert found["error"] < found["plain_error"] / 3


def test_calibration_inputs_fill_the_cube_evenly() -> None:
    points = spread(1000, 2)
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=5, range=((0, 1), (0, 1)))
    assert counts.min() > 30
    assert counts.max() < 50


@pytest.mark.parametrize("rows", [12, 60])
def test_phases_are_eliminated_by_regularised_least_squares(rows: int) -> None:
    """Derivatives by phases of all sizes, on either side of the ridge, with fewer rows than phases and with more."""
    rng, count = np.random.default_rng(rows), 40
    few = min(rows, count)
    left, right = (np.linalg.qr(rng.normal(size=(n, few)))[0] for n in (rows, count))
    square = np.logspace(0, -12, few)
    slopes = left * np.sqrt(square) @ right.T
    found = SimpleNamespace(phi0=(slopes[:, :3], slopes[:, 3:]))
    ridge = adapt_module.RIDGE * square.sum()
    for error in rng.normal(size=(3, rows)):
        best = np.linalg.lstsq(
            np.concatenate([slopes, np.sqrt(ridge) * np.eye(count)]), -np.append(error, np.zeros(count)), rcond=None
        )[0]
        least = np.sum((error + slopes @ best) ** 2) + ridge * np.sum(best**2)
        assert np.sum(adapt_module._eliminate_phases(found)(error) ** 2) == pytest.approx(least, rel=2e-4)
        np.testing.assert_allclose(adapt_module.phase_shift(found, error), best, rtol=0, atol=1e-6 * np.abs(best).max())


@pytest.mark.parametrize(("seed", "bits"), [*((seed, 3) for seed in range(4)), (0, 8)])
def test_descents_end_when_they_gain_little_or_are_good_enough(seed: int, bits: int) -> None:
    options = CompileOptions(weight_bits=bits)
    history = compile_network(ordinary((2, 24, 24, 2), seed), options).report["adapt-rounding"]["history"]

    def ended(errors: list[float]) -> bool:
        return errors[-1] < 5e-4 or (len(errors) > 2 and min(errors) > 0.95 * min(errors[:-2]))

    assert not any(ended(history[:k]) for k in range(1, len(history)))
    assert len(history) == 13 or ended(history)
    assert (history[-1] < 5e-4) == (bits == 8)
