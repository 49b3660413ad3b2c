"""Synapses of projections: what is listed equals what stands in a full array."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from networks import branched, listed, ordinary, thinned, without_zeros
from scipy.sparse import csr_array

from qif2hw import engine, reference
from qif2hw.bundle.packing import pack, unpack
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.errors import InputError
from qif2hw.ir import Dense, Network, Program, Projection, Sparse, npz, onnx_io
from qif2hw.ir.synapses import join
from qif2hw.reference.sensitivity import sensitivity

matrices = arrays(
    np.int64, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(-100, 100) | st.just(0)
)


@given(matrices)
def test_sparse_is_scipys_csr(matrix: np.ndarray) -> None:
    """An independent implementation: scipy's."""
    synapses, weight = Sparse.of(matrix)
    theirs = csr_array(matrix)
    assert np.array_equal(synapses.indptr, theirs.indptr)
    assert np.array_equal(synapses.indices, theirs.indices)
    assert np.array_equal(weight, theirs.data)
    by_column = theirs.tocsc()
    begin, post, place = synapses.by_source_order
    assert np.array_equal(begin, by_column.indptr)
    assert np.array_equal(post, by_column.indices)
    assert np.array_equal(weight[place], by_column.data)


@given(matrices, st.integers(0, 2**32 - 1))
def test_every_question_has_the_answer_of_the_full_array(matrix: np.ndarray, seed: int) -> None:
    sent = np.random.default_rng(seed).integers(-9, 9, (3, matrix.shape[1])) * (np.arange(matrix.shape[1]) % 2)
    sparse, values = Sparse.of(matrix)
    for synapses, weight in ((Dense(*matrix.shape), matrix), (sparse, values)):
        synapses.check(weight, "here")
        assert synapses.shape == matrix.shape
        assert weight.shape == synapses.weight_shape
        assert np.array_equal(synapses.dense(weight), matrix)
        assert np.array_equal(synapses.sums(weight), matrix.sum(axis=1))
        assert synapses.fan_in.sum() == synapses.count == weight.size
        assert np.array_equal(synapses.apply(weight, sent), sent @ matrix.T)
        total = np.ones((3, matrix.shape[0]), np.int64)
        synapses.by_source(weight).add(sent, total)
        assert np.array_equal(total, 1 + sent @ matrix.T)
        first, stop = len(matrix) // 3, len(matrix)
        there = synapses.dense(np.ones_like(weight))[first:stop]
        assert np.array_equal(synapses.fan_out_to(first, stop), there.sum(axis=0))
        for neuron in range(matrix.shape[0]):
            row = np.zeros(matrix.shape[1], np.int64)
            sources, own = synapses.of_neuron(weight, neuron)
            row[sources] = own
            assert np.array_equal(row, matrix[neuron])


@given(matrices, matrices)
def test_joined_sources_are_numbered_through(one: np.ndarray, other: np.ndarray) -> None:
    post = min(len(one), len(other))
    one, other = one[:post], other[:post]
    sent = np.arange(one.shape[1] + other.shape[1])[None] - 2
    parts = [[Dense(*m.shape).by_source(m), Sparse.of(m)[0].by_source(Sparse.of(m)[1])] for m in (one, other)]
    for left in parts[0]:
        for right in parts[1]:
            total = np.zeros((1, post), np.int64)
            join([left, right]).add(sent, total)
            assert np.array_equal(total, sent @ np.concatenate([one, other], axis=1).T)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "start": ({"indptr": [1, 2], "indices": [0, 1], "pre": 2}, "indptr must start at 0"),
    "falls": ({"indptr": [0, 2, 1], "indices": [0], "pre": 2}, "indptr must start at 0 and never decrease"),
    "no neuron": ({"indptr": [0], "indices": [], "pre": 2}, "indptr must start at 0"),
    "count": ({"indptr": [0, 2], "indices": [0], "pre": 2}, "1 indices for the 2 synapses"),
    "source": ({"indptr": [0, 1], "indices": [2], "pre": 2}, "indices from 2 to 2 for 2 sources"),
    "negative": ({"indptr": [0, 1], "indices": [-1], "pre": 2}, "indices from -1 to -1"),
    "twice": ({"indptr": [0, 2], "indices": [1, 1], "pre": 2}, "ascending order, each once"),
    "order": ({"indptr": [0, 2], "indices": [1, 0], "pre": 2}, "ascending order, each once"),
    "real": ({"indptr": [0, 1], "indices": [0.5], "pre": 2}, "indices has type float64"),
    "huge": ({"indptr": [0, 1], "indices": [2**63], "pre": 2}, "indices holds 9223372036854775808"),
    "no source": ({"indptr": [0, 0], "indices": [], "pre": 0}, "0 sources"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_lists_are_refused(name: str) -> None:
    parts, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        Sparse(**parts)


def test_weights_of_another_shape_are_refused() -> None:
    synapses, weight = Sparse.of(np.eye(3))
    with pytest.raises(InputError, match=r"projection a -> b: the weight has shape \(2,\), \(3,\) is needed"):
        Projection("a", "b", weight[:2], synapses)
    with pytest.raises(InputError, match=r"the weight has shape \(3,\), \(post, pre\) is needed"):
        Projection("a", "b", weight)
    network = listed(ordinary((3, 5, 2)))
    with pytest.raises(InputError, match=r"its synapses have shape \(3, 3\), \(post, pre\) = \(5, 3\) is needed"):
        replace(network, projections=(Projection("input", "hidden1", weight, synapses), network.projections[1]))


def programs(network: Network) -> tuple[Program, Program]:
    """A compiled network whose zeros are not stored, and the same with every zero stored."""
    full = compile_network(network, CompileOptions(rounding="nearest", steps=128)).program
    return without_zeros(full), full


@pytest.mark.parametrize("network", [ordinary((3, 12, 9, 4)), branched()], ids=["chain", "branched"])
@pytest.mark.parametrize("machine", ["fast", "spec", "checked"])
def test_the_engine_runs_listed_synapses_bit_for_bit(network: Network, machine: Any) -> None:
    thin, full = programs(thinned(network))
    assert thin.synapse_count < 0.5 * full.synapse_count
    x = np.random.default_rng(0).random((40, network.inputs))
    mine, other = engine.run(thin, x, machine=machine), engine.run(full, x)
    assert mine.machine == other.machine
    assert mine.step_spikes == other.step_spikes
    assert sum(map(len, mine.step_spikes.values())) > 0


@pytest.mark.parametrize("which", [slice(None), slice(0, 3)], ids=["all", "some"])
@pytest.mark.parametrize("network", [ordinary((3, 12, 9, 4)), branched()], ids=["chain", "branched"])
def test_the_reference_runs_listed_synapses_bit_for_bit(network: Network, which: slice) -> None:
    full = thinned(network)
    thin, x = listed(full, which), np.random.default_rng(1).random((40, network.inputs))
    mine, other = reference.run(thin, x), reference.run(full, x)
    assert np.array_equal(mine.y, other.y)
    assert mine.spikes == other.spikes


@pytest.mark.parametrize("network", [ordinary((3, 12, 9, 4)), branched()], ids=["chain", "branched"])
def test_derivatives_of_listed_weights_are_those_of_the_full_array(network: Network) -> None:
    full = thinned(network)
    thin, x = listed(full), np.random.default_rng(2).random((7, network.inputs))
    mine, other = sensitivity(thin, x), sensitivity(full, x)
    assert np.array_equal(mine.value, other.value)
    for p, q, listed_, stored in zip(thin.projections, full.projections, mine.weight, other.weight, strict=True):
        assert np.array_equal(listed_, stored[:, q.weight != 0])
        assert listed_.shape[1:] == p.weight.shape
    for one, another in zip(mine.phi0, other.phi0, strict=True):
        assert np.array_equal(one, another)


@pytest.mark.parametrize("which", [slice(None), slice(0, 1)], ids=["all", "mixed"])
def test_files_keep_them(tmp_path: Path, which: slice) -> None:
    network = listed(thinned(ordinary((3, 12, 9, 4))), which)
    path = onnx_io.save(network, tmp_path / "m.onnx")
    assert onnx_io.load(path) == network
    assert onnx_io.to_bytes(onnx_io.load(path)) == path.read_bytes()
    thin, full = programs(thinned(ordinary((3, 12, 9, 4))))
    for program in (thin, full):
        stored: dict[str, np.ndarray] = {}
        packed = pack(program, stored)
        assert unpack(Program, packed, stored) == program
        assert ("synapses" in packed["projections"][0]) == (program is thin)
    assert all(p.synapses == q.synapses for p, q in zip(thin.network().projections, thin.projections, strict=True))


def test_npz_with_scipys_names(tmp_path: Path) -> None:
    full = thinned(ordinary((3, 12, 9, 4)))
    content: dict[str, Any] = {"phi0": np.concatenate([p.phi0 for p in full.populations])}
    for k, p in enumerate(full.projections):
        csr = csr_array(p.weight)
        names = ("data", "indices", "indptr", "shape")
        content |= {f"w{k}.{name}": getattr(csr, name) for name in names} if k != 1 else {"w1": p.weight}
    np.savez(tmp_path / "w.npz", **content)
    read = npz.import_npz(tmp_path / "w.npz", trial=6.5, encode=(0.05, 1.95))
    expected = [
        q if k == 1 else p for k, (p, q) in enumerate(zip(listed(full).projections, full.projections, strict=True))
    ]
    assert read.projections == tuple(expected)


def part(**changes: Any) -> dict[str, Any]:
    csr = csr_array(thinned(ordinary((3, 5, 2))).projections[0].weight)
    own = {"w0.data": csr.data, "w0.indices": csr.indices, "w0.indptr": csr.indptr, "w0.shape": np.array(csr.shape)}
    rest = {"w1": np.ones((2, 5)), "phi0": np.full(7, 2.0)}
    return {k: v for k, v in (own | rest | {f"w0{k}": v for k, v in changes.items()}).items() if v is not None}


WRONG_NPZ = {
    "no data": ({".data": None}, r"the key 'w0\.data' is missing"),
    "both": ({"": np.ones((5, 3))}, r"given twice: as 'w0' and as 'w0\.data'"),
    "shape": ({".shape": np.array([5])}, r"'w0\.shape' must be \(post, pre\)"),
    "indptr": ({".indptr": np.zeros(2)}, r"with post \+ 1 entries in 'w0\.indptr'"),
    "part": ({".indices": np.full(4, 0.5)}, r"'w0\.indices' must be a list of integers"),
    "count": ({".data": np.zeros(1)}, r"'w0': 'w0\.data': the weight has shape \(1,\)"),
    "unknown": ({".row": np.zeros(3)}, r"unknown key 'w0\.row'"),
}


@pytest.mark.parametrize("name", WRONG_NPZ)
def test_wrong_npz_parts_are_refused(tmp_path: Path, name: str) -> None:
    changes, message = WRONG_NPZ[name]
    np.savez(tmp_path / "w.npz", **part(**changes))
    with pytest.raises(InputError, match=message):
        npz.import_npz(tmp_path / "w.npz", trial=6.5, encode=(0.05, 1.95))
