"""What is emitted: the same bytes, no floating point, no heap, and nothing of a user's names in the code."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emitted import STRICT, assert_equal, cortex_m4, native, needed
from networks import ordinary, stepped_images

import qif2hw
from qif2hw import zoo
from qif2hw.bundle import AnyBundle
from qif2hw.emit import to_c99
from qif2hw.ir import Encoder


@pytest.fixture(scope="module", params=["trial", "stepped"])
def bundle(request: pytest.FixtureRequest) -> AnyBundle:
    if request.param == "trial":
        return zoo.bundle("ripple")
    return qif2hw.compile(stepped_images(), calibration=np.random.default_rng(0).normal(0, 1, (6, 2, 8, 8)))


def test_the_same_bundle_gives_the_same_bytes(bundle: AnyBundle, tmp_path: Path) -> None:
    again = qif2hw.load(bundle.save(tmp_path / "m.qif"))
    x = bundle.golden.x[:2]
    parts = to_c99(bundle, x)
    assert to_c99(again, x) == parts
    assert set(parts) - set(to_c99(bundle)) == {"inputs.csv"}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("optimize", ["-O0", "-O3"])
def test_no_warning(bundle: AnyBundle, tmp_path: Path, compiler: str, optimize: str) -> None:
    """The Makefile asks for C99, all warnings and pedantry; an unknown option of the compiler would be one."""
    program = native(bundle, None, tmp_path, compiler, f"{optimize} {STRICT}")
    assert "-std=c99 -Wall -Wextra -pedantic" in (tmp_path / "Makefile").read_text()
    program.make("test")
    program.make("network")
    assert re.search(r"\(TOTALS\)", program.make("size"))
    program.make("clean")
    assert {path.name for path in tmp_path.iterdir()} == set(to_c99(bundle))


def test_the_machine_needs_no_floating_point_no_heap_and_no_library(bundle: AnyBundle, tmp_path: Path) -> None:
    """Objects for a processor without floating point refer to each other and to integer helpers of the compiler."""
    needed("arm-none-eabi-gcc")
    program = cortex_m4(bundle, None, tmp_path)
    program.make("size")
    names = [path.name for path in tmp_path.glob("*.o")]
    shown = subprocess.run(
        ["arm-none-eabi-nm", *names], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    undefined = set(re.findall(r" U (\S+)", shown))
    defined = set(re.findall(r" [BDRT] (\S+)", shown))
    # Division and multiplication of 64 bits, and loops that are recognised.
    assert undefined - defined <= {"__aeabi_ldivmod", "__aeabi_lmul", "memset", "memcpy"}
    assert all(name.startswith("qif_") or name in ("reset", "_init", "_fini", "main") for name in defined)


def test_a_network_takes_the_code_that_it_needs() -> None:
    assert {"cotangent.c", "plane.c"} & set(to_c99(zoo.bundle("parabola"))) == {"cotangent.c"}
    assert {"cotangent.c", "plane.c", "grid.c"} & set(to_c99(zoo.bundle("ripple"))) == {"cotangent.c", "plane.c"}


def test_names_of_any_kind(tmp_path: Path) -> None:
    network = ordinary((1, 3, 2), 1)
    strange = 'a */ #error "b" \\ ??/ \u03b8\n'
    name = {p.name: f"{p.name}{strange}" for p in network.populations} | {network.encoders[0].name: strange}
    network = replace(
        network,
        encoders=(Encoder(strange, 1, 0.05, 1.95),),
        populations=tuple(replace(p, name=name[p.name]) for p in network.populations),
        projections=tuple(replace(p, pre=name[p.pre], post=name[p.post]) for p in network.projections),
        outputs=tuple(replace(o, population=name[o.population]) for o in network.outputs),  # type: ignore[union-attr]
    )
    bundle = qif2hw.compile(network, steps=64)
    x = np.linspace(0, 1, 5)[:, None]
    assert_equal(native(bundle, x, tmp_path), bundle, bundle.run(x))
