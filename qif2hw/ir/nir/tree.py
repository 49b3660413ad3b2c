"""A NIR graph as nested dictionaries: from its file (HDF5), or from an object of the package ``nir``.

Files are read as they are, without the checks of ``nir``, which refuse what older versions and frameworks wrote.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir import hdf5

Node = dict[str, Any]
"""``type``, and parameters as numpy arrays; of a graph ``nodes`` by name and ``edges``."""
KEY = "qif2hw"
"""Of a graph's metadata: JSON of what NIR has no place for."""


def load(path: str | os.PathLike[str]) -> Node:
    """The graph in a file.

    Raises
    ------
    InputError
        If h5py is missing, or the file is no NIR graph.
    """
    try:
        import h5py
    except ImportError:
        raise InputError("reading NIR needs h5py: pip install 'qif2hw[nir]'") from None
    data = hdf5.read(path, "networks of NIR")
    try:
        with h5py.File(data, "r") as file:
            if "node" not in file or not isinstance(file["node"], h5py.Group):
                raise InputError(f"{path}: an HDF5 file, but no NIR graph (it has no group 'node')")
            tree = _group(file["node"], h5py.Group)
        return of_dict(tree)
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError, OverflowError) as error:
        raise InputError(f"{path}: not a NIR file ({' '.join(str(error).split()) or 'damaged'})") from None


def of_dict(tree: Mapping[str, Any]) -> Node:
    """The graph of what ``NIRGraph.to_dict`` gives; `InputError` if it is none."""
    node = {str(key): _plain(value) for key, value in tree.items() if key != "metadata"}
    if not isinstance(node.get("type"), str):
        raise InputError("a node of the NIR graph has no type")
    if isinstance(tree.get("metadata"), Mapping):
        node["metadata"] = {str(key): _plain(value) for key, value in tree["metadata"].items()}
    if node["type"] == "NIRGraph":
        if not isinstance(tree.get("nodes"), Mapping):
            raise InputError("the NIR graph has no nodes")
        node["nodes"] = {str(name): of_dict(inner) for name, inner in tree["nodes"].items()}
        node["edges"] = [(_text(a), _text(b)) for a, b in np.asarray(tree.get("edges", [])).reshape(-1, 2)]
    return node


def flattened(graph: Node, prefix: str = "") -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """Nodes and edges of a graph, those of graphs inside it among them, named ``outer.inner``."""
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    entries: dict[str, list[str]] = {}
    exits: dict[str, list[str]] = {}
    for name, node in graph["nodes"].items():
        full = f"{prefix}{name}"
        if node["type"] != "NIRGraph":
            nodes[full] = node
            continue
        inner, between = flattened(node, f"{full}.")
        # What enters and leaves the inner graph are nodes without effect.
        nodes |= {key: dict(one, type="Pass") if _is_end(key, full, one) else one for key, one in inner.items()}
        edges += between
        entries[full] = [key for key, one in inner.items() if one["type"] == "Input"]
        exits[full] = [key for key, one in inner.items() if one["type"] == "Output"]
    for a, b in graph["edges"]:
        before, after = f"{prefix}{a}", f"{prefix}{b}"
        edges += [(x, y) for x in exits.get(before, [before]) for y in entries.get(after, [after])]
    return nodes, edges


def _is_end(key: str, graph: str, node: Node) -> bool:
    return node["type"] in ("Input", "Output") and "." not in key.removeprefix(f"{graph}.")


def _group(group: Any, kind: type) -> dict[str, Any]:
    return {name: _group(item, kind) if isinstance(item, kind) else hdf5.value(item) for name, item in group.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | str | np.bytes_):
        return _text(value)
    if value is None or isinstance(value, Mapping):
        return value
    if isinstance(value, tuple | list) and not all(np.isscalar(one) for one in value):
        return value
    return np.asarray(value)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
