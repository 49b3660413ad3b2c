"""Emitted event-driven networks, natively: every spike is the engine's."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from emitted import SANITIZED, STRICT, Program, assert_equal, native
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import branched, listed, ordinary, thinned

import qif2hw
from qif2hw import engine, zoo
from qif2hw.bundle import Bundle, Golden
from qif2hw.ir import Network

MANY = ("parabola", "ripple")
"""Networks that the ordinary suite runs on a thousand inputs."""


@pytest.mark.parametrize("name", zoo.names(stepped=False))
def test_networks_of_the_zoo(name: str, tmp_path: Path) -> None:
    check(zoo.bundle(name), tmp_path, 1000 if name in MANY else 20)


@pytest.mark.parametrize(
    "name", [n if n == "parabola" else pytest.param(n, marks=pytest.mark.long) for n in zoo.names(stepped=False)]
)
def test_networks_of_the_zoo_for_narrow_products(name: str, tmp_path: Path) -> None:
    check(zoo.bundle(name, "loihi2-microcode"), tmp_path, 1000)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(zoo.names(stepped=False)) - set(MANY)))
def test_networks_of_the_zoo_on_many_inputs(name: str, tmp_path: Path) -> None:
    check(zoo.bundle(name), tmp_path, 1000)


def check(bundle: Bundle, folder: Path, samples: int) -> None:
    x = bundle.program.unscaled(np.random.default_rng(5).random((samples, bundle.program.width)))
    program = native(bundle, x, folder)
    golden = sum(len(found) for found in bundle.golden.step_spikes.values())
    assert program.make("test") == f"equal: {len(bundle.golden.x)} golden inputs, {golden} spikes\n"
    assert_equal(program, bundle, bundle.run(x))


def of_forms(network: Network, forms: list[str], seed: int = 0, **options: object) -> Bundle:
    """A bundle whose populations have these forms of arithmetic, one after the other."""
    bundles = {form: qif2hw.compile(network, form=form, rounding="nearest", **options) for form in set(forms)}
    first = bundles[forms[0]]
    populations = tuple(
        bundles[form].program.populations[k]
        for form, k in zip(cycle(forms), range(len(network.populations)), strict=False)
    )
    program = replace(first.program, populations=populations)
    x = np.random.default_rng(seed).random((4, network.inputs))
    return replace(first, program=program, golden=Golden.of(x, engine.run(program, x, machine="checked")))


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    """Small networks with any form of arithmetic, dense or sparse synapses."""
    forms = draw(st.lists(st.sampled_from(["cotangent", "grid", "plane"]), min_size=1, max_size=3))
    seed = draw(st.integers(0, 2**32 - 1))
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    network = ordinary((*sizes, 2), seed, draw(st.floats(0.1, 40)))
    if draw(st.booleans()):
        network = listed(thinned(network, 0.6, seed))
    return of_forms(
        network, forms, seed,
        steps=draw(st.integers(16, 120)), weight_bits=draw(st.integers(2, 8)), payload_bits=draw(st.integers(0, 12)),
        table_bits=5, lateness_moments=1 if "grid" in forms else draw(st.integers(1, 2)),
    )  # fmt: skip


def check_golden(bundle: Bundle, folder: Path) -> None:
    program = native(bundle, bundle.golden.x, folder, flags=SANITIZED["gcc"])
    assert_equal(program, bundle, bundle.run(bundle.golden.x))


@settings(max_examples=8, deadline=None)
@given(bundles())
def test_any_network(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> None:
    check_golden(bundle, tmp_path_factory.mktemp("any"))


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(bundles())
def test_many_networks(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> None:
    check_golden(bundle, tmp_path_factory.mktemp("many"))


@pytest.mark.parametrize("moments", [1, 2])
@pytest.mark.parametrize("forms", [["cotangent", "plane"], ["plane", "cotangent"]])
def test_two_moments_in_a_graph_of_branches(tmp_path: Path, forms: list[str], moments: int) -> None:
    bundle = of_forms(listed(branched(), slice(0, 3)), forms, steps=96, lateness_moments=moments)
    assert all((p.ptc.second is not None) == (moments == 2) for p in bundle.program.populations)  # type: ignore[union-attr]
    program = native(bundle, bundle.golden.x, tmp_path, "clang", SANITIZED["clang"])
    assert program.make("test").startswith("equal: 4 golden inputs")
    assert_equal(program, bundle, bundle.run(bundle.golden.x))


@pytest.mark.parametrize("form", ["cotangent", "plane"])
def test_one_accumulator_for_both_sums(tmp_path: Path, form: str) -> None:
    bundle = of_forms(ordinary((2, 5, 5, 2), 1), [form], steps=128, payload_bits=2)
    assert all(p.packed_bits > 0 for p in bundle.program.populations)
    assert_equal(native(bundle, bundle.golden.x, tmp_path), bundle, bundle.run(bundle.golden.x))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_undefined_behaviour(tmp_path: Path, compiler: str) -> None:
    """Under the sanitizers; one of the networks has all forms."""
    for k, bundle in enumerate(
        [zoo.bundle("ripple"), of_forms(ordinary((2, 6, 6, 2), 3), ["grid", "plane", "cotangent"])]
    ):
        x = np.random.default_rng(k).random((10, bundle.program.inputs))
        program = native(bundle, x, tmp_path / str(k), compiler, SANITIZED[compiler])
        assert program.make("test").startswith("equal: ")
        assert_equal(program, bundle, bundle.run(x))


def test_the_self_test_names_the_first_difference(tmp_path: Path) -> None:
    bundle = of_forms(ordinary((2, 6, 2), 3), ["plane"])
    program = native(bundle, None, tmp_path, flags=STRICT)
    text = (tmp_path / "golden.c").read_text()
    first = text.index("{", text.index("qif_golden_spikes") + 30)
    row = [int(v) for v in text[first + 1 : text.index("}", first)].split(",")]
    wrong = [*row[:4], row[4] + 1]
    (tmp_path / "golden.c").write_text(
        text.replace(f"{{{', '.join(map(str, row))}}}", f"{{{', '.join(map(str, wrong))}}}", 1)
    )
    with pytest.raises(AssertionError, match="DIFFERENT") as failed:
        program.make("test")
    line = f"sample 0: neuron {row[2]} of population {row[1]} spikes in step {row[3]}, late by {row[4]}"
    assert line in str(failed.value)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Program:
    program = native(of_forms(ordinary((2, 3, 2), 3), ["plane"]), None, tmp_path_factory.mktemp("small"))
    program.make("network")
    return program


@pytest.mark.parametrize(
    "line",
    ["1,0,5", "1,0,5,3,7", "0,0,5,3", "1,0,5,256", "1,-1,5,3", "1,0,5,x", "1,0,,3", "999999999999,0,5,3", "1,0,5,3 4"],
)
def test_wrong_lines_are_refused(small: Program, line: str) -> None:
    (small.folder / "inputs.csv").write_text(f"1,0,5,3\n\n{line}\n1,0,5,3\n")
    done = small.run("inputs.csv")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert len(done.stderr.splitlines()) == 1
    assert "inputs.csv: line 3: " in done.stderr
    assert small.run("missing.csv").returncode == small.run().returncode == 2


def test_a_file_without_its_last_newline(small: Program) -> None:
    (small.folder / "inputs.csv").write_text("1,0,5,3\r\n 1, 0, +5, 3")
    one, two = small.numbers()
    assert one.tolist() == two.tolist()
