"""Populations to cores: nothing lost, nothing overfull, evenly filled, and the options that are named do help."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ordinary

from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.compiler.mapping import Need, Source, map_cores
from qif2hw.compiler.passes.fit import refusal
from qif2hw.compiler.targets import Limit, Target
from qif2hw.ir.weight_grid import round_to_grid, weight_bits


def chip(**limits: int) -> Target:
    return Target("made up", "a chip", {name: Limit(value, "made up") for name, value in limits.items()})


def write(path: Path, **limits: int) -> str:
    text = '[target]\nname = "tiny"\ntitle = "a small chip"\n'
    text += "".join(f'[limits.{name}]\nvalue = {value}\nsource = "made up"\n' for name, value in limits.items())
    path.write_text(text)
    return str(path)


needs = st.lists(
    st.builds(
        lambda neurons, sizes, bits, state, table: Need(
            f"p{neurons}", neurons, tuple(Source(f"s{k}", n, bits) for k, n in enumerate(sizes)), state, table
        ),
        st.integers(1, 3000),
        st.lists(st.integers(1, 400), min_size=1, max_size=3),
        st.integers(2, 8),
        st.integers(1, 12),
        st.integers(0, 3000),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda n: n.name,
)


@settings(max_examples=150, deadline=None)
@given(
    needs=needs,
    memory=st.integers(200, 100_000),
    neurons=st.integers(1, 5000),
    axons=st.integers(1, 2000),
    split=st.booleans(),
)
def test_every_neuron_has_its_place_and_no_core_is_overfull(
    needs: list[Need], memory: int, neurons: int, axons: int, split: bool
) -> None:
    target = chip(
        memory_per_core_bytes=memory, neurons_per_core=neurons, input_axons_per_core=axons, fan_in_split=int(split)
    )
    cores = map_cores(tuple(needs), target)
    assert cores == map_cores(tuple(needs), target)
    for need in needs:
        shares = cores.of(need.name)
        for part in range(shares[0].parts):
            own = [s for s in shares if s.part == part]
            assert [s.first for s in own] == [0] + [s.stop for s in own[:-1]]
            assert own[-1].stop == need.neurons
            sizes = [s.stop - s.first for s in own]
            assert max(sizes) - min(sizes) <= 1
        if need.name in cores.problems:
            continue
        assert all(s.bytes <= memory and s.stop - s.first <= neurons for s in shares)
        assert all(-(-need.fan_in // s.parts) <= axons for s in shares)
        assert split or shares[0].parts == 1
        # As few as can be: one core fewer would be overfull.
        fewer = len(shares) // shares[0].parts - 1
        if fewer:
            most = -(-need.neurons // fewer)
            assert need.bytes(most, shares[0].parts) > memory or most > neurons


def test_memory_of_a_row_counts_the_index_beside_each_listed_weight() -> None:
    fan_in = np.array([2, 0, 5])
    need = Need("few", 3, (Source("listed", 9, 8, index_bits=4, fan_in=fan_in), Source("all", 6, 3)), 12, 0)
    assert need.row_bits.tolist() == [2 * 12 + 18, 18, 5 * 12 + 18]


def test_a_neuron_that_no_core_holds() -> None:
    need = Need("wide", 3, (Source("a", 1000, 8), Source("b", 500, 4)), 12, 100)
    cores = map_cores((need,), chip(memory_per_core_bytes=1000))
    assert cores.problems == {
        "wide": "one neuron with its 1500 synapses and the tables need 1364 bytes, a core has 1000"
    }
    cores = map_cores((need,), chip(synaptic_memory_per_core_bytes=1000))
    assert "the 1500 synapses of one neuron need 1252 bytes, a core has 1000" in cores.problems["wide"]
    # The synapses of one neuron fit, the tables beside them do not.
    cores = map_cores((need,), chip(synaptic_memory_per_core_bytes=1300, memory_per_core_bytes=1300))
    assert "with its 1500 synapses and the tables need 1364 bytes, a core has 1300" in cores.problems["wide"]
    cores = map_cores((need,), chip(input_axons_per_core=1000))
    assert cores.problems == {"wide": "1500 sources send to each neuron, a core takes 1000"}
    cores = map_cores((need,), chip(memory_per_core_bytes=1000, fan_in_split=1))
    assert not cores.problems
    assert [(s.first, s.stop, s.part, s.parts) for s in cores.shares][:2] == [(0, 1, 0, 2), (0, 1, 1, 2)]


@settings(max_examples=50, deadline=None)
@given(bits=st.integers(2, 8), seed=st.integers(0, 1000))
def test_bits_of_weights_are_read_off_the_weights(bits: int, seed: int) -> None:
    weight = round_to_grid(np.random.default_rng(seed).normal(size=(30, 40)), 1 / 128, bits)
    assert weight_bits(weight) == bits
    assert weight_bits(np.zeros((2, 2), np.int16)) == 2


def compiled_fit(target: str, sizes: tuple[int, ...] = (1, 40, 30, 2), **options: int | str) -> dict:  # type: ignore[type-arg]
    compiled = compile_network(ordinary(sizes), CompileOptions(target=target, rounding="nearest", steps=64, **options))  # type: ignore[arg-type]
    return compiled.report["fit"]  # type: ignore[no-any-return]


def test_the_named_options_make_it_fit(tmp_path: Path) -> None:
    """Each is tried: compiled with it, the network fits."""
    free = compiled_fit("unconstrained")
    table = free["populations"]["hidden2"]["table_bytes"]
    target = write(tmp_path / "small.toml", memory_per_core_bytes=table + 1000, cores=3)
    fit = compiled_fit(target)
    assert not fit["fits"]
    assert fit["reasons"] == ["4 cores are needed, 3 there are"]
    tables, form, weights, chips, smaller = fit["options"]
    assert form == "the form 'plane', which needs no tables"
    assert compiled_fit(target, form="plane")["fits"]
    assert tables == "table bits 6 in place of 7"
    assert compiled_fit(target, table_bits=6)["fits"]
    assert weights.startswith("weight bits ")
    bits = int(weights.split()[2])
    assert compiled_fit(target, weight_bits=bits)["fits"]
    assert not compiled_fit(target, weight_bits=bits + 1)["fits"]
    assert chips == "2 chips in place of one"
    share = int(smaller.split()[3])
    assert smaller.endswith(f"('hidden1': {40 * share // 100} neurons, not 40)")
    assert compiled_fit(target, (1, 40 * share // 100, 30 * share // 100, 2))["fits"]
    assert refusal(fit) == (
        "the network does not fit the target 'tiny': 4 cores are needed, 3 there are; it would fit with "
        "table bits 6 in place of 7"
    )


def test_what_is_too_wide_is_named(tmp_path: Path) -> None:
    target = write(tmp_path / "narrow.toml", payload_bits=6, weight_bits=8)
    fit = compiled_fit(target, payload_bits=6)
    assert fit["fits"], fit["reasons"]
    fit = compiled_fit("loihi1", payload_bits=0)
    assert fit["reasons"][0] == "its neuron model is fixed, a QIF neuron needs a programmable one"
    assert fit["reasons"][1].startswith("the flush sends ")
    assert refusal(fit).endswith("(and 1 more); no single option makes it fit")


@pytest.mark.parametrize("name", ["loihi2", "unconstrained"])
def test_small_networks_fit(name: str) -> None:
    fit = compiled_fit(name)
    assert fit["fits"]
    assert fit["options"] == []
    assert fit["cores"] == len(fit["map"]) == 3
