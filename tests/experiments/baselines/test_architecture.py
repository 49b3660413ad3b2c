"""Chains of layers: rows taken apart for a DeepONet give what evaluating row by row gives."""

import numpy as np
import pytest
import torch

from qif2hw.errors import InputError
from qif2hw.experiments.baselines import Ann, Architecture
from qif2hw.experiments.baselines.architecture import take_apart
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields

ARCHITECTURE = Architecture(((3, 5, 4), (1, 6, 4)))


def rows_of_a_grid() -> np.ndarray:
    rng = np.random.default_rng(0)
    functions, points = rng.random((7, 3)), rng.random((5, 1))
    rows = np.concatenate([np.repeat(functions, 5, axis=0), np.tile(points, (7, 1))], axis=1)
    return rows[rng.permutation(len(rows))]


def test_what_rows_share_is_evaluated_once() -> None:
    x = rows_of_a_grid()
    rows = take_apart(ARCHITECTURE, torch.from_numpy(x))
    assert [tuple(part.shape) for part in rows.parts] == [(7, 3), (5, 1)]
    for part, where, columns in zip(rows.parts, rows.where, (x[:, :3], x[:, 3:]), strict=True):
        np.testing.assert_array_equal(part[where], columns)


def test_the_output_is_the_inner_product_of_branch_and_trunk() -> None:
    x = rows_of_a_grid()
    model = Ann(ARCHITECTURE, 0)
    (b0, b1), (t0, t1) = ([(n.weight.detach().numpy(), n.bias.detach().numpy()) for n in c] for c in model.layers)

    def chain(z: np.ndarray, first: tuple, last: tuple) -> np.ndarray:
        return np.tanh((z - 0.5) / 0.5 @ first[0].T + first[1]) @ last[0].T + last[1]

    expected = (chain(x[:, :3], b0, b1) * chain(x[:, 3:], t0, t1)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-12)


def test_each_chain_is_scaled_by_its_own_statistics() -> None:
    x = rows_of_a_grid() * np.array([1.0, 1.0, 1.0, 0.01])
    model = Ann(ARCHITECTURE, 0)
    rows = take_apart(ARCHITECTURE, torch.from_numpy(x))
    model.fit_scaling(rows, None)
    for k in range(2):
        scaled = model.scaled(k, rows.parts[k])
        assert scaled.mean() == pytest.approx(0, abs=1e-12)
        assert scaled.std() == pytest.approx(1)


def test_a_batch_holds_whole_functions() -> None:
    x = rows_of_a_grid()
    model = Ann(ARCHITECTURE, 0)
    rows = take_apart(ARCHITECTURE, torch.from_numpy(x))
    seen = []
    for step in range(3):
        batch, numbers = rows.batch(2, 5, step)
        assert len(numbers) == 10
        torch.testing.assert_close(model.on(batch), model(torch.from_numpy(x))[numbers])
        seen += numbers.tolist()
    assert len(set(seen)) == 30, "an epoch shows no row twice"


def test_wrong_layouts() -> None:
    with pytest.raises(InputError, match="same number of features"):
        Architecture(((3, 5, 4), (1, 6, 5)))
    with pytest.raises(InputError, match="one or two chains"):
        Architecture(())
    with pytest.raises(InputError, match=r"\(samples, 4\) is needed"):
        Ann(ARCHITECTURE, 0).predict(np.zeros((2, 3)))


def test_fields_encode_the_last_chain_alone() -> None:
    x = rows_of_a_grid()
    fields = ReceptiveFields(5)
    encoded = Ann(Architecture(((3, 5, 4), (5, 6, 4)), fields), 0)
    assert (encoded.architecture.columns, encoded.architecture.inputs) == ((3, 1), 4)
    plain = Ann(Architecture(encoded.architecture.chains), 0)
    trunk = np.exp(-0.5 * ((x[:, 3:] - fields.centres) * 4) ** 2)
    np.testing.assert_allclose(encoded.predict(x), plain.predict(np.concatenate([x[:, :3], trunk], axis=1)), rtol=1e-12)
    with pytest.raises(InputError, match="3 receptive fields for each input"):
        Architecture(((4, 2),), ReceptiveFields(3))
