"""Regression from a CSV: the concentration of a gas from a sensor's resistance, at any temperature and humidity."""

import csv
from pathlib import Path

import numpy as np

import qif2hw
from qif2hw.data.columns import Choice, choose
from qif2hw.data.table import read_table
from qif2hw.train import train
from qif2hw.train.tables import TableOptions, table_task


def write_measurements(path, rows=600):
    """What a measuring campaign would leave: four columns, with one percent of noise on the resistance."""
    rng = np.random.default_rng(0)
    temperature, humidity, ppm = rng.uniform(5, 45, rows), rng.uniform(20, 90, rows), rng.uniform(10, 400, rows)
    drift = np.exp(-0.015 * (temperature - 20)) * (1 - 0.003 * (humidity - 50))
    kohm = 30 * (ppm / 100) ** -0.6 * drift * np.exp(rng.normal(0, 0.01, rows))
    with Path(path).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["kohm", "temperature", "humidity", "ppm"])
        table.writerows(np.round(np.column_stack([kohm, temperature, humidity, ppm]), 2).tolist())


def main(steps=None):
    """Train, compile and run; the true and the engine's concentrations of the test rows, and both errors in ppm."""
    write_measurements("sensor.csv")
    numbers, _ = choose(read_table("sensor.csv"), Choice(targets=("ppm",)))
    # One spike for each input, no receptive fields: the concentration is smooth in all of them.
    trained = train(table_task("sensor", numbers, TableOptions(fields=1)), steps=steps)
    qif2hw.save(trained.network, "sensor.onnx")
    bundle = qif2hw.compile("sensor.onnx")
    engine = bundle.run(trained.x).y  # resistance, temperature and humidity in, concentration out
    found = {"float": trained.y, "engine": engine}
    return trained.truth, engine, {name: np.sqrt(np.mean((y - trained.truth) ** 2)) for name, y in found.items()}


if __name__ == "__main__":
    truth, _, errors = main()
    print(f"{len(truth)} rows kept apart:", {name: f"{error:.1f} ppm" for name, error in errors.items()})
