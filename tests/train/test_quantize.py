"""Weights go onto the grid a few at a time, stay there, and are what the compiler deploys."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.experiments import tasks
from qif2hw.ir.weight_grid import closest_unit, largest_weight, nearest_unit, round_to_grid
from qif2hw.train import Settings, loop, plan, train
from qif2hw.train.quantize import IncrementalQuantizer

SMALL = replace(
    tasks.get("parabola"), sizes=(1, 8, 2), settings=Settings(steps=60, freeze_steps=90, settle_steps=20, batch=32)
)


def weights(*shapes: tuple[int, int], seed: int = 0) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64)) for s in shapes]


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_shares_are_kept_and_stay_on_the_grid(bits: int) -> None:
    arrays = weights((6, 3), (5, 6))
    quantizer = IncrementalQuantizer(arrays, bits)
    quantizer.choose_units()
    before: list[torch.Tensor] = [torch.zeros(0)] * 2
    for groups in (1, 3, 3, 12, 99):
        quantizer.freeze(groups)
        done = [~level.isnan() for level in quantizer.level]
        wanted = [math.ceil((1 - left**groups) * d.numel()) for left, d in zip((0.7, 0.82), done, strict=True)]
        assert [int(d.sum()) for d in done] == wanted
        held = [w.detach()[d].clone() for w, d in zip(arrays, done, strict=True)]
        with torch.no_grad():
            for w in arrays:
                w.add_(0.1 * torch.randn_like(w))
        quantizer.keep()
        for w, d, value, step in zip(arrays, done, held, quantizer.step, strict=True):
            assert torch.equal(w.detach()[d], value)
            level = w.detach()[d] / step
            assert torch.allclose(level, level.round(), atol=1e-12)
            assert w.abs().max() <= step * quantizer.most * (1 + 1e-12)
        before = held
    assert sum(len(b) for b in before) == 48
    for w in arrays:
        exact = w.detach().numpy()
        unit = nearest_unit(exact, bits)
        np.testing.assert_allclose(round_to_grid(exact, unit, bits) * unit, exact, rtol=1e-12)


def test_what_matters_most_goes_first() -> None:
    (array,) = arrays = weights((10, 10))
    quantizer = IncrementalQuantizer(arrays, 4)
    quantizer.choose_units()
    important = torch.arange(100).view(10, 10) % 10 == 3
    array.grad = torch.where(important, 5.0, 0.001).double()
    quantizer.note_gradients()
    # The distance from the grid counts as much, so that of the important ones those go first that are near.
    quantizer.freeze(1)
    first = ~quantizer.level[0].isnan()
    assert first[important].sum() > 2 * first[~important].sum() * 10 / 90
    quantizer.freeze(4)
    assert not quantizer.level[0].isnan()[important].any()


def test_the_unit_is_the_closest() -> None:
    heavy_tailed = np.random.default_rng(1).standard_t(3, 500)
    for bits in (3, 4, 6):
        unit, plain = closest_unit(heavy_tailed, bits), nearest_unit(heavy_tailed, bits)

        def wrong(u: float, bits: int = bits) -> float:
            return float(np.mean((round_to_grid(heavy_tailed, u, bits) * u - heavy_tailed) ** 2))

        assert wrong(unit) <= min(wrong(plain * s) for s in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4))
        assert np.abs(round_to_grid(heavy_tailed, unit, bits)).max() == largest_weight(bits)


def test_stages_of_a_run_with_few_bits() -> None:
    free, freezes, settles = plan(SMALL.settings, weight_bits=4)
    groups = [freezes.groups_at(step) for step in range(freezes.start, freezes.stop)]
    assert groups == sorted(groups)
    assert (groups[0], groups[-1]) == (0, 30)
    assert free.groups_at(0) == settles.groups_at(settles.start) == 0
    assert freezes.rate_at(freezes.start) == SMALL.settings.freeze_learning_rate
    assert freezes.rate_at(freezes.stop) == pytest.approx(settles.rate_at(settles.start))
    assert len(plan(SMALL.settings, weight_bits=8)) == 3


@pytest.mark.parametrize("stop", [50, 90, 155])
def test_resumed_is_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    class Interrupted(Exception):
        pass

    monkeypatch.setattr(loop, "SAVE_EVERY", 10)
    monkeypatch.setattr(loop, "REPORTS", 34)
    whole = train(SMALL, seed=3, weight_bits=4)
    path = tmp_path / "state.safetensors"

    def interrupt(step: int, total: int, loss: float, error: float) -> None:
        if step == stop + 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(SMALL, seed=3, weight_bits=4, checkpoint=path, progress=interrupt)
    resumed = train(SMALL, seed=3, weight_bits=4, checkpoint=path)
    assert resumed.network == whole.network
    assert resumed.error == whole.error


@pytest.mark.parametrize("bits", [3, 4])
def test_what_is_trained_is_deployed(bits: int) -> None:
    network = train(SMALL, seed=1, weight_bits=bits).network
    program = compile_network(network, CompileOptions(weight_bits=bits)).program
    for p, q in zip(network.projections, program.network().projections, strict=True):
        np.testing.assert_allclose(q.weight, p.weight, rtol=1e-12)
        assert len(np.unique(q.weight)) <= 2**bits - 1
