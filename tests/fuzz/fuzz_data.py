"""Inputs and tables of data."""

import contextlib
import io
from functools import cached_property
from pathlib import Path
from typing import Any

import mutate
import numpy as np
from fuzz_format import SAMPLES, Format, as_npz, bundles
from mutate import Rng, pick

from qif2hw.data.columns import Choice, choose, inputs_of
from qif2hw.data.table import read_table
from qif2hw_cli.files.inputs import read_inputs


class Inputs(Format):
    name, ending = "inputs", ".npy"

    @cached_property
    def valid(self) -> list[bytes]:
        return [_npy(np.linspace(0, 1, 2 * SAMPLES).reshape(SAMPLES, 2))]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        if rng.integers(2):
            text = bytearray(data)
            at = text.find(b"shape")
            text[at + 8 : at + 14] = pick(rng, [b"(9, 9)", b"(-1,2)", b"(2,)  ", b"10**10", b"(3,2,0", b"(1e9,)"])
            return bytes(text)
        return _npy(mutate.array(rng, np.load(io.BytesIO(self.valid[0]))))

    def use(self, path: Path) -> None:
        bundle = bundles()[0]
        bundle.run(read_inputs(path, bundle.network)[:SAMPLES])


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


class Tables(Format):
    name, ending = "table", ".csv"

    @cached_property
    def valid(self) -> list[bytes]:
        rows = [
            "time (s),kind,y,class",
            *(f"{k / 8},{'ab'[k % 2]},{k * k},{'on' if k > 5 else 'off'}" for k in range(12)),
        ]
        numbers = {"time (s)": np.arange(12) / 8, "y": np.arange(12.0) ** 2, "class": np.arange(12) // 6}
        return ["\n".join(rows).encode(), as_npz(numbers), *self._parquet(numbers)]

    def _parquet(self, columns: dict[str, Any]) -> list[bytes]:
        try:
            from pyarrow import parquet, table
        except ImportError:
            return []
        buffer = io.BytesIO()
        parquet.write_table(table(columns), buffer)
        return [buffer.getvalue()]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        with contextlib.suppress(Exception):  # of what earlier changes left unreadable
            if data.startswith(b"PK"):
                with np.load(io.BytesIO(data)) as file:
                    return as_npz(mutate.some(rng, dict(file)))
            if not data.startswith(b"PAR1"):
                lines = [line.split(",") for line in data.decode().split("\n")]
                cells = pick(rng, lines)
                other = [
                    *map(str, mutate.WHOLE + mutate.REAL),
                    "nan",
                    "-inf",
                    "",
                    '"',
                    '"a,b"',
                    "1e999",
                    "1_0",
                    "\r",
                    "\0",
                    "٣",
                ]
                cells[int(rng.integers(len(cells)))] = pick(rng, other)
                return "\n".join(",".join(line) for line in lines).encode()
        return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        table = read_table(path)
        names = list(table.columns)
        label = {"label": "class"} if "class" in names else {"targets": tuple(names[-1:])}
        for categorical in ((), ("kind",) if "kind" in names else ()):
            numbers, _ = choose(table, Choice(categorical=categorical, drop_missing=bool(categorical), **label))
            inputs_of(table, numbers.inputs)
            with contextlib.suppress(ImportError):
                from qif2hw.train.tables.problem import table_task

                table_task("t", numbers).train_set(0)
