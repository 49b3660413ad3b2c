"""Test R2 on scikit-learn's diabetes and friedman1 tables: qif2hw's defaults, in float and on the engine, and an MLP's.

The MLP is `MLPRegressor` with its defaults on standardised inputs and targets; both have the same five splits
(``train_test_split``, a fifth for the test, seeds 0 to 4).  friedman1 has 1000 rows and noise of deviation 1.
Inputs of the test outside the range of training are moved to its ends.

Usage: .venv/bin/python scripts/compare_tables.py [diabetes|friedman1 ...]      (prints JSON)
"""

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qif2hw.sklearn import QIFRegressor

TABLES = {
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "friedman1": lambda: make_friedman1(1000, noise=1.0, random_state=0),
}
SPLITS = range(5)


def compare(name: str, splits: Any = SPLITS) -> dict[str, Any]:
    """R2 on the test set by split and their means, of the MLP, of the float network, and on the engine at 8 bits."""
    x, y = TABLES[name]()
    found: dict[str, list[float]] = {"mlp": [], "float": [], "engine": []}
    found |= {"fields": [], "steps": [], "seconds": []}
    for split in splits:
        x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=split)
        pipe = make_pipeline(StandardScaler(), MLPRegressor(random_state=split))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mlp = TransformedTargetRegressor(pipe, transformer=StandardScaler()).fit(x_train, y_train)
        start = time.perf_counter()
        model = QIFRegressor(random_state=split).fit(x_train, y_train)
        found["seconds"].append(round(time.perf_counter() - start, 1))
        found["fields"].append(model.fields_)
        found["steps"].append(model.n_iter_)
        found["mlp"].append(mlp.score(x_test, y_test))
        found["float"].append(model.score(x_test, y_test))
        run = model.compile(weight_bits=8).run(x_test, clip=True)
        found["engine"].append(float(r2_score(y_test, run.y[:, 0])))
        print(f"{name}, split {split}: {', '.join(f'{k} {v[-1]:.4g}' for k, v in found.items())}", file=sys.stderr)
    means = {f"{key}_mean": float(np.mean(found[key])) for key in ("mlp", "float", "engine")}
    return {**found, **means}


if __name__ == "__main__":
    print(json.dumps({name: compare(name) for name in sys.argv[1:] or TABLES}, indent=2))
