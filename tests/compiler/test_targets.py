"""Target files: every limit has a source, and what is no target is refused in one line."""

from pathlib import Path

import pytest
from networks import ordinary

from qif2hw.compiler import CompileOptions, compile_network, known_targets, load_target
from qif2hw.compiler.targets import LIMITS, STATUS
from qif2hw.errors import InputError

HEAD = '[target]\nname = "own"\ntitle = "my chip"\n'


def test_targets_name_their_sources() -> None:
    assert known_targets() == ("loihi1", "loihi2", "loihi2-microcode", "unconstrained")
    for name in known_targets():
        target = load_target(name)
        assert target.name == name
        assert set(target.limits) <= set(LIMITS)
        assert all(limit.source and limit.status in STATUS for limit in target.limits.values())


def test_published_limits() -> None:
    one, two = load_target("loihi1"), load_target("loihi2")
    assert (two.limit("cores"), two.limit("neurons_per_core"), two.limit("memory_per_core_bytes")) == (
        128,
        8192,
        192 * 1024,
    )
    assert (two.limit("state_bits"), two.limit("weight_bits"), two.limit("delay_bits")) == (24, 8, 6)
    assert (one.limit("cores"), one.limit("neurons_per_core"), one.limit("synaptic_memory_per_core_bytes")) == (
        128,
        1024,
        128 * 1024,
    )
    assert one.limit("payload_bits") == 0
    assert one.limit("input_axons_per_core") is None


def test_ones_own_target(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(HEAD + '[limits.cores]\nvalue = 3\nsource = "the data sheet"\n')
    target = load_target(str(path))
    assert (target.name, target.title, target.limit("cores")) == ("own", "my chip", 3)
    assert target.limit("weight_bits") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cores = ", "is not a target description: Invalid value"),
        ("[limits]\n", r"the table \[target\] is missing"),
        ("target = 3\n", "target must be a table"),
        ('[target]\nname = "own"\n[limits]\n', r"\[target\] needs a text 'title'"),
        (HEAD, r"the table \[limits\] is missing"),
        (HEAD + "[limits]\n[speed]\n", r"unknown table \[speed\]"),
        (HEAD + "[limits.coers]\nvalue = 1\n", "unknown limit 'coers': known are cores"),
        (HEAD + "[limits]\ncores = 4\n", "cores must be a table"),
        (HEAD + '[limits.cores]\nvalue = "4"\n', "limit 'cores' needs a whole number of at least 1"),
        (HEAD + "[limits.cores]\nvalue = true\n", "limit 'cores' needs a whole number of at least 1"),
        (HEAD + "[limits.cores]\nvalue = 0\n", "limit 'cores' needs a whole number of at least 1"),
        (HEAD + "[limits.payload_bits]\nvalue = -1\n", "limit 'payload_bits' needs a whole number of at least 0"),
        (HEAD + "[limits.cores]\nvalue = 4\n", "limit 'cores' needs a 'source'"),
        (HEAD + '[limits.cores]\nvalue = 4\nsource = "x"\nunit = "y"\n', "limit 'cores' has an unknown entry 'unit'"),
        (
            HEAD + '[limits.cores]\nvalue = 4\nsource = "x"\nstatus = "y"\n',
            "has the status 'y': published and inferred",
        ),
        (HEAD + '[limits.product_bits]\nvalue = 32\nsource = "x"\n', "needs a whole number of at least 33"),
        (HEAD + 'extends = "loihi9"\n[limits]\n', "extends 'loihi9': known are loihi1"),
    ],
)
def test_what_is_no_target(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_target(str(path))
    assert str(error.value).count("\n") == 0


def test_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_target(str(path))
    with pytest.raises(InputError, match="no target 'loihi9': known are loihi1, loihi2, loihi2-microcode, unc"):
        load_target("loihi9")


def test_a_target_without_graded_spikes_wants_no_payload() -> None:
    with pytest.raises(InputError, match="payload bits = 8: 0 to 0 are possible on target 'loihi1'"):
        compile_network(ordinary((1, 4, 2)), CompileOptions(target="loihi1", payload_bits=8))
    program = compile_network(ordinary((1, 4, 2)), CompileOptions(target="loihi1")).program
    assert program.grid.lateness_bits == 0
