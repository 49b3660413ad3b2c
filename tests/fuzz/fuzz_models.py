"""Bundles, models and weights."""

import contextlib
import io
import json
from functools import cached_property
from pathlib import Path

import mutate
import numpy as np
import onnx
import safetensors.numpy
from executed import plainly
from fuzz_format import SAMPLES, Format, as_json, as_npz, bundles
from mutate import Rng, pick
from onnx import numpy_helper

import qif2hw
from qif2hw import reference
from qif2hw.bundle import container
from qif2hw.ir import Network, onnx_io
from qif2hw.ir.npz import import_npz
from qif2hw.reference import stepped as stepped_reference


def _zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    container._zip(parts, file)
    return file.getvalue()


class Bundles(Format):
    name, ending = "bundle", ".qif"

    @cached_property
    def valid(self) -> list[bytes]:
        return [_zipped(bundle.parts()) for bundle in bundles()]

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
                parts["program.json"] = as_json(mutate.json_tree(rng, json.loads(parts["program.json"])))
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
        own = {"sha256": container._sha256(as_json(sealed))}
        return _zipped({container.MANIFEST: as_json(sealed | own), **parts})

    def use(self, path: Path) -> None:
        bundle = qif2hw.load(path)
        repr(bundle)
        x = bundle.golden.x[:SAMPLES]
        bundle.run(x)
        bundle.run(x, "reference")
        if isinstance(bundle, qif2hw.Bundle):
            bundle.program.network()


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
        return [as_npz(arrays) for arrays in (dense, sparse)]

    def changed(self, rng: Rng, data: bytes) -> bytes:
        try:
            with np.load(io.BytesIO(data)) as file:
                return as_npz(mutate.some(rng, dict(file)))
        except Exception:
            return mutate.raw(rng, data)

    def use(self, path: Path) -> None:
        reference.run(import_npz(path, trial=6.5, encode=(0.05, 1.95)), np.full((SAMPLES, 2), 0.5))
