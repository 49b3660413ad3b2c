"""Every format that is read from files: valid ones, changes of them that reach deep checks, and what uses them."""

import contextlib
import io
import json
import tempfile
from abc import ABC, abstractmethod
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import mutate
import numpy as np
import onnx
import safetensors.numpy
from executed import plainly
from mutate import Rng, pick
from networks import branched, listed, ordinary, stepped_images, whole_images, whole_inputs
from onnx import numpy_helper

import qif2hw
from qif2hw import reference
from qif2hw.bundle import container
from qif2hw.compiler.targets import load_target
from qif2hw.data.columns import Choice, choose, inputs_of
from qif2hw.data.table import read_table
from qif2hw.files import read_bytes
from qif2hw.ir import Network, onnx_io
from qif2hw.ir.npz import import_npz
from qif2hw.reference import stepped as stepped_reference
from qif2hw.workers import run_file
from qif2hw.workers.shards import join
from qif2hw_cli.inputs import read_inputs
from qif2hw_deploy.submission.job import Job, Request, Submitted

SAMPLES = 3
SUBMITTED = (Submitted(7, {1: "shard-1", 2: "shard-2"}), Submitted(8, {0: "join"}))


class Format(ABC):
    """A format: valid files, changes of them, and their use."""

    name: ClassVar[str]
    ending: ClassVar[str]

    @cached_property
    @abstractmethod
    def valid(self) -> list[bytes]:
        """Valid files."""

    @abstractmethod
    def changed(self, rng: Rng, data: bytes) -> bytes:
        """A file that is changed in its meaning, not in its form."""

    @abstractmethod
    def use(self, path: Path) -> None:
        """Do all that is done with such a file."""

    def case(self, seed: int) -> bytes:
        """The file of a case: the same for the same seed."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        data = pick(rng, self.valid)
        if rng.integers(4) == 0:
            return mutate.raw(rng, data)
        for _ in range(int(rng.integers(1, 4))):
            data = self.changed(rng, data)
        return data


@lru_cache
def bundles() -> list[Any]:
    """Small bundles of all arithmetics, with one and two moments, sparse and branched; and of both kinds of images."""
    made: list[Any] = []
    for form in ("cotangent", "grid", "plane"):
        for moments in (1, 2) if form != "grid" else (1,):
            options = {"steps": 32, "table_bits": 3, "form": form, "lateness_moments": moments, "rounding": "nearest"}
            made.append(qif2hw.compile(ordinary((2, 3, 2)), **options))
    made.append(qif2hw.compile(listed(branched()), steps=40, table_bits=2, rounding="nearest"))
    frames = np.random.default_rng(0).random((SAMPLES, 2, 8, 8))
    made.append(qif2hw.compile(stepped_images(steps=2), calibration=frames))
    made.append(qif2hw.compile(whole_images(steps=3), calibration=whole_inputs(SAMPLES)))
    return made


class Bundles(Format):
    name, ending = "bundle", ".qif"

    @cached_property
    def valid(self) -> list[bytes]:
        return [container._zip(bundle.parts()) for bundle in bundles()]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        """With sizes and hashes that fit."""
        import zipfile

        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(parts.pop(container.MANIFEST))
        about = {key: manifest.get(key) for key in ("target", "options", "versions")}
        how = rng.integers(10)
        with contextlib.suppress(Exception):  # of parts that earlier changes left unreadable
            if how < 6:
                parts["program.json"] = _json(mutate.json_tree(rng, json.loads(parts["program.json"])))
            elif how < 8:
                name = pick(rng, ["program.safetensors", "program.safetensors", "golden.safetensors"])
                parts[name] = safetensors.numpy.save(mutate.some(rng, safetensors.numpy.load(parts[name])))
            elif how == 8:
                parts["model.onnx"] = Models().changed(rng, parts["model.onnx"])
            else:
                part = pick(rng, ["report.json", "about", *parts])
                if part == "about":
                    about = mutate.json_tree(rng, about)
                else:
                    parts[part] = mutate.raw(rng, parts[part])
        listed_parts = {
            name: {"size": len(part), "sha256": container._sha256(part)} for name, part in sorted(parts.items())
        }
        sealed = {"format": container.FORMAT, "schema": container.SCHEMA, **about, "parts": listed_parts}
        own = {"sha256": container._sha256(_json(sealed))}
        return container._zip({container.MANIFEST: _json(sealed | own), **parts})

    def use(self, path: Path) -> None:
        bundle = qif2hw.load(path)
        repr(bundle)
        x = bundle.golden.x[:SAMPLES]
        bundle.run(x)
        bundle.run(x, "reference")
        if isinstance(bundle, qif2hw.Bundle):
            bundle.program.network()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


class Models(Format):
    name, ending = "model", ".onnx"

    @cached_property
    def valid(self) -> list[bytes]:
        networks = [bundle.network for bundle in bundles()[4:]]
        # Changes of plain nodes reach further.
        return [one for network in networks for one in (onnx_io.to_bytes(network), plainly(network))]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        try:
            model = onnx.ModelProto.FromString(data)
            graph = model.graph
            how = rng.integers(8)
            if how < 2 and graph.initializer:
                _tensor(rng, pick(rng, list(graph.initializer)))
            elif how == 2:
                node = pick(rng, list(graph.node))
                node.input[int(rng.integers(len(node.input)))] = pick(rng, [i for n in graph.node for i in n.input])
            elif how == 3:
                node = pick(rng, list(graph.node))
                node.op_type = pick(rng, [n.op_type for n in graph.node])
            elif how == 4:
                graph.node.append(pick(rng, list(graph.node)))
            elif how == 5:
                del graph.node[int(rng.integers(len(graph.node)))]
            else:
                attributes = [a for n in graph.node for a in n.attribute]
                _attribute(rng, pick(rng, attributes))
            return model.SerializeToString()
        except Exception:  # of a graph that earlier changes left without such parts
            return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        network = qif2hw.load_model(path)
        repr(network)
        onnx_io.to_bytes(network)
        if isinstance(network, Network):
            reference.run(network, np.full((SAMPLES, network.inputs), 0.5))
            if path.stat().st_size % 8 == 0:
                qif2hw.compile(network, steps=32, table_bits=2, rounding="nearest").run(np.zeros((1, network.inputs)))
        elif network.clock.count < 100:
            stepped_reference.run(network, np.zeros((1, 1, network.inputs)))


def _tensor(rng: Rng, tensor: onnx.TensorProto) -> None:
    how = rng.integers(6)
    if how == 0 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = int(np.clip(pick(rng, mutate.WHOLE), -(2**62), 2**62))
    elif how == 1:
        tensor.data_type = int(rng.integers(20))
    else:
        new = numpy_helper.from_array(mutate.array(rng, numpy_helper.to_array(tensor)), tensor.name)
        tensor.CopyFrom(new)


def _attribute(rng: Rng, attribute: onnx.AttributeProto) -> None:
    if rng.integers(10) == 0:
        attribute.type = int(rng.integers(12))
    elif attribute.HasField("t"):
        _tensor(rng, attribute.t)
    elif attribute.ints:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = int(np.clip(pick(rng, mutate.WHOLE), -(2**62), 2**62))
    elif attribute.HasField("s"):
        attribute.s = pick(rng, [b"", b"x", b"euler", b"exact", b"\xff"])
    else:
        attribute.i = int(np.clip(pick(rng, mutate.WHOLE), -(2**62), 2**62))


class Weights(Format):
    name, ending = "weights", ".npz"

    @cached_property
    def valid(self) -> list[bytes]:
        rng = np.random.default_rng(0)
        dense = {"w0": rng.normal(size=(4, 2)), "w1": rng.normal(size=(2, 4)), "phi0": np.full(6, 3.0)}
        sparse = {
            "w0.data": rng.normal(size=5), "w0.indices": np.array([0, 1, 0, 1, 1]),
            "w0.indptr": np.array([0, 2, 3, 4, 5]),
            "w0.shape": np.array([4, 2]), "w1": rng.normal(size=(2, 4)), "phi0": np.full(6, 3.0),
        }  # fmt: skip
        return [_npz(arrays) for arrays in (dense, sparse)]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        try:
            with np.load(io.BytesIO(data)) as file:
                return _npz(mutate.some(rng, dict(file)))
        except Exception:
            return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        reference.run(import_npz(path, trial=6.5, encode=(0.05, 1.95)), np.full((SAMPLES, 2), 0.5))


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


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
        return ["\n".join(rows).encode(), _npz(numbers), *self._parquet(numbers)]

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
                    return _npz(mutate.some(rng, dict(file)))
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


class Checkpoints(Format):
    name, ending = "checkpoint", ".safetensors"

    @cached_property
    def valid(self) -> list[bytes]:
        from qif2hw.train import train

        made = []
        with tempfile.TemporaryDirectory() as folder:
            for bits in (None, 4):
                path = Path(folder) / f"{bits}"
                train(self.task, steps=2, weight_bits=bits, checkpoint=path)
                made.append(path.read_bytes())
        return made

    @cached_property
    def task(self) -> Any:
        from dataclasses import replace

        from qif2hw.experiments import tasks

        task = tasks.get("parabola")
        return replace(task, sizes=(1, 3, 2), settings=replace(task.settings, optimizer="soap"))

    def changed(self, rng: Rng, data: bytes) -> bytes:
        try:
            arrays = safetensors.numpy.load(data)
            if rng.integers(2):
                state = json.loads(bytes(arrays["state.json"]))
                # The others say which run it is, and must agree.
                moving = {key: state[key] for key in ("done", "seconds", "adam_steps") if key in state}
                state = state | mutate.json_tree(rng, moving) if rng.integers(4) else mutate.json_tree(rng, state)
                arrays["state.json"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
                return bytes(safetensors.numpy.save(arrays))
            return bytes(safetensors.numpy.save(mutate.some(rng, arrays)))
        except Exception:
            return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        from qif2hw.train import train

        bits = 4 if b'"weight_bits": 4' in path.read_bytes() else None
        train(self.task, steps=2, weight_bits=bits, checkpoint=path)


class Targets(Format):
    name, ending = "target", ".toml"

    @cached_property
    def valid(self) -> list[bytes]:
        import qif2hw.compiler.targets as home

        return [
            (Path(home.__file__).parent / f"{name}.toml").read_bytes()
            for name in ("loihi2", "loihi1", "loihi2-microcode")
        ]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        lines = data.split(b"\n")
        numbers = [k for k, line in enumerate(lines) if line.startswith(b"value")]
        if not numbers:
            return mutate.raw(rng, data)
        lines[pick(rng, numbers)] = (
            b"value = " + str(pick(rng, [*mutate.WHOLE, *mutate.REAL, "true", "nan", '"x"'])).encode()
        )
        return b"\n".join(lines)

    def use(self, path: Path) -> None:
        from qif2hw.compiler.passes.fit import assess

        assess(bundles()[0].program, load_target(str(path)), 3)


class Shards(Format):
    name, ending = "shard", ".run"

    @cached_property
    def valid(self) -> list[bytes]:
        runs = [
            bundle.run(bundle.golden.x[:SAMPLES], keep=keep) for bundle in bundles() for keep in ("spikes", "counts")
        ]
        return [run_file.to_bytes(run, "key") for run in runs]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        with contextlib.suppress(Exception):  # of what earlier changes left unreadable
            arrays = safetensors.numpy.load(data)
            if rng.integers(2):
                about = _json(mutate.json_tree(rng, json.loads(arrays["about"].tobytes())))
                arrays["about"] = np.frombuffer(about, np.uint8)
            else:
                arrays = mutate.some(rng, arrays)
            return bytes(safetensors.numpy.save(arrays))
        return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        run = run_file.from_bytes(read_bytes(path, 1 << 24))[0]
        join([(0, run), (SAMPLES, run)])


class Jobs(Format):
    name, ending = "job", ".json"

    @cached_property
    def valid(self) -> list[bytes]:
        found = []
        for shards in (0, 2):
            job = Job(Path("/nowhere"), Request(("run", "m.qif"), "/", shards, 1, ("--time=1",)), SUBMITTED)
            found.append(_json(job.plain()))
        return found

    def changed(self, rng: Rng, data: bytes) -> bytes:
        with contextlib.suppress(Exception):
            return _json(mutate.json_tree(rng, json.loads(data)))
        return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "job.json").write_bytes(path.read_bytes())
            job = Job.load(folder)
            assert all(isinstance(name, str) for name in job.request.tasks)
            job.save()


def formats() -> dict[str, Format]:
    """All formats that can be read here, by name."""
    found: list[Format] = [Bundles(), Models(), Weights(), Inputs(), Tables(), Targets(), Shards(), Jobs()]
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401

        found.append(Checkpoints())
    with contextlib.suppress(ImportError):
        import h5py  # noqa: F401

        found.append(Slayer())
    with contextlib.suppress(ImportError):
        import nir  # noqa: F401

        found.append(Nir())
    return {one.name: one for one in found}
