"""Classification of a table by the first spike: wines of three cultivars, one output neuron for each."""

import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine

import qif2hw
from qif2hw.data.columns import Choice, choose
from qif2hw.data.table import read_table
from qif2hw.train import train
from qif2hw.train.tables import TableOptions, table_task

CULTIVARS = ("barolo", "grignolino", "barbera")


def write_wines(path):
    """Thirteen measurements of 178 wines, and the cultivar, as a CSV."""
    wines = load_wine()
    with Path(path).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*wines.feature_names, "cultivar"])
        table.writerows([*row, CULTIVARS[k]] for row, k in zip(wines.data.tolist(), wines.target, strict=True))


def main(steps=None):
    """Train, compile and run; first spike times and true classes of the test rows, and accuracies."""
    write_wines("wine.csv")
    numbers, _ = choose(read_table("wine.csv"), Choice(label="cultivar"))
    options = TableOptions(hidden=(16,), fields=1, first_spike=True, test=0.3)
    trained = train(table_task("wine", numbers, options), steps=steps)
    bundle = qif2hw.compile(trained.network, steps=256)
    bundle.save("wine.qif")
    engine, truth = bundle.run(trained.x), trained.truth[:, 0].astype(int)
    found = qif2hw.run(trained.network, trained.x)
    return engine.y, truth, {"float": np.mean(found.label == truth), "engine": np.mean(engine.label == truth)}


if __name__ == "__main__":
    times, _, accuracies = main()
    print(f"{len(times)} wines kept apart:", {name: f"{share:.1%}" for name, share in accuracies.items()})
