"""Classes of a table by the first spike: one output neuron for each, from the table to the engine."""

import numpy as np
import pytest

import qif2hw
from qif2hw.data.columns import Numbers
from qif2hw.errors import InputError
from qif2hw.train import train
from qif2hw.train.tables import TableOptions, table_task


def numbers(rows: int = 120) -> Numbers:
    x = np.random.default_rng(0).uniform(-2, 5, (rows, 2))
    return Numbers(x, (x[:, 0] > x[:, 1]).astype(np.int64), ("a", "b"), classes=("below", "above"))


@pytest.mark.parametrize("fields", [1, 4])
def test_the_class_is_that_of_the_first_spike(fields: int) -> None:
    task = table_task("t", numbers(), TableOptions(hidden=(8,), fields=fields, first_spike=True))
    assert task.sizes == (2 * fields, 8, 2)
    trained = train(task, steps=200)
    network = trained.network
    assert network.classes == ("below", "above")
    assert network.first_spike is not None
    assert trained.error < 0.15
    run = qif2hw.compile(network, steps=128, rounding="nearest").run(trained.x)
    assert (run.label == run.y.argmin(axis=1)).all()
    assert (run.label == trained.truth[:, 0]).mean() > 0.8
    assert 0 < trained.truth.mean() < 1


def test_numbers_are_not_told_apart() -> None:
    x = np.random.default_rng(0).random((30, 1))
    with pytest.raises(InputError, match="the first spike tells classes apart"):
        table_task("t", Numbers(x, x, ("a",), targets=("y",)), TableOptions(first_spike=True))
