"""Networks of other frameworks: SLAYER's and NIR's HDF5 files."""

import io
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import mutate
import numpy as np
from fuzz_format import Format
from mutate import Rng, pick
from networks import branched, listed

from qif2hw.ir import Network
from qif2hw.reference import stepped as stepped_reference


class Slayer(Format):
    name, ending = "slayer", ".net"

    @cached_property
    def valid(self) -> list[bytes]:
        from slayer_files import write

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.net"
            write(path)
            return [path.read_bytes()]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        import h5py

        buffer = io.BytesIO(data)
        try:
            with h5py.File(buffer, "r+") as file:
                found: list[Any] = []
                file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
                chosen = pick(rng, found)
                name, old = chosen.name, chosen[()]
                del file[name]
                if rng.integers(8):
                    new = old if isinstance(old, bytes) else mutate.array(rng, np.asarray(old))
                    file[name] = pick(rng, [b"dense", b"conv", b"pool", b"x"]) if isinstance(old, bytes) else new
        except Exception:
            return mutate.raw(rng, data)
        return buffer.getvalue()

    def use(self, path: Path) -> None:
        from qif2hw_slayer.importer import import_network

        network = import_network(path)
        # A file may ask for a million time steps.
        if network.clock.count < 100:
            stepped_reference.run(network, np.zeros((1, 1, network.inputs)))


class Nir(Format):
    name, ending = "nir", ".nir"

    @cached_property
    def valid(self) -> list[bytes]:
        import nir

        from qif2hw.ir.nir import save

        rng = np.random.default_rng(0)
        lif = [np.array(value) for value in (0.02, 1.0, 0.1, 1.0)]
        graph = nir.NIRGraph.from_list(
            nir.Input(np.array([1, 6, 6])),
            nir.Conv2d((6, 6), rng.normal(size=(2, 1, 3, 3)), (1, 1), (1, 1), (1, 1), 1, np.zeros(2)),
            nir.LIF(*lif),
            nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
            nir.Flatten({"input": np.array([2, 3, 3])}, 0, -1),
            nir.Affine(rng.normal(size=(4, 18)), np.zeros(4)),
            nir.CubaLIF(*(np.full(4, value) for value in (0.01, 0.02, 1.0, 0.0, 1.0))),
            nir.Delay(np.full(4, 0.002)),
            nir.Linear(rng.normal(size=(2, 4))),
            nir.Output(np.array([2])),
            type_check=False,
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.nir"
            nir.write(path, graph, compression=None)
            files = [path.read_bytes()]
            save(listed(branched()), path)
            return [*files, path.read_bytes()]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        return Slayer.changed(self, rng, data)  # type: ignore[arg-type]

    def use(self, path: Path) -> None:
        from qif2hw.ir.nir import import_network

        network = import_network(path, time_steps=3, dt=1e-3)
        if not isinstance(network, Network):
            stepped_reference.run(network, np.zeros((1, 1, network.inputs)))
