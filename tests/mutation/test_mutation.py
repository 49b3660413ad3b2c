"""The mutants are what they should be, and a mutant that no test notices is told from one that is noticed."""

import ast
from pathlib import Path

import pytest
from mutation import covering, run
from mutation.mutants import Mutant, mutants, sample

ROOT = Path(__file__).resolve().parents[2]
SOURCE = '''"""Words: 1 + 2."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import numpy

@cached(3 + 4)
def f(x: "1 < 2", y=5) -> list[6]:
    """More words."""
    assert x > 7
    if (x) <= y and not x:
        raise ValueError(f"{x + 8}")
        return None
    return max(x, -y) ** 2
'''


def changed() -> list[tuple[str, str]]:
    return [(m.old, m.new) for m in mutants("f.py", SOURCE.encode())]


def test_every_change_is_made_alone_and_what_says_nothing_is_left() -> None:
    assert sorted(changed()) == sorted(
        [
            ("5", "6"),
            ("<=", "<"),
            ("and", "or"),
            ("not x", "x"),
            ("(x) <= y and not x", "True"),
            ("(x) <= y and not x", "False"),
            ('raise ValueError(f"{x + 8}")', "pass"),
            ("return max(x, -y) ** 2", "return None"),
            ("max", "min"),
            ("-y", "y"),
            ("**", "*"),
            ("2", "3"),
        ]
    )
    for mutant in mutants("f.py", SOURCE.encode()):
        text = mutant.apply(SOURCE.encode())
        ast.parse(text)
        before, after = mutant.lines(SOURCE.encode())
        assert before in SOURCE
        assert after in text.decode()
        assert before != after


def test_names_last_while_the_function_does() -> None:
    def names(source: str) -> set[str]:
        return {m.id for m in mutants("f.py", source.encode())}

    assert len(names(SOURCE)) == len(changed())
    assert names("z = 'é'\n\n" + SOURCE) == names(SOURCE)
    assert not names(SOURCE.replace("y=5", "y=9")) & names(SOURCE)
    assert not {m.id for m in mutants("g.py", SOURCE.encode())} & names(SOURCE)


def test_the_order_is_random_fixed_and_lasts(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(SOURCE)
    one, both = sample(tmp_path, ["a.py"], 0), sample(tmp_path, ["a.py", "b.py"], 0)
    assert [m for m in both if m.file == "a.py"] == one
    assert sorted(m.id for m in sample(tmp_path, ["a.py"], 1)) == sorted(m.id for m in one)
    assert sample(tmp_path, ["a.py"], 1) != one != sorted(one, key=lambda m: m.start)


def test_every_file_has_tests_and_every_entry_a_file() -> None:
    names = covering.files(ROOT)
    assert {Path(name).parts[1] for name in names} == {"compiler", "engine", "parity"}
    assert {path for name in names for path in covering.tests(name) if not (ROOT / path).is_file()} == set()
    first = {next(p for p in covering.TESTS if covering.fits(name, p)) for name in names}
    assert first == set(covering.TESTS)


@pytest.mark.parametrize(
    ("body", "name", "by"),
    [
        ("assert double(3) == 6", "survived", ""),
        ("assert double(3) == 9", "killed", "tests/test_it.py::test_it"),
        ("double.missing", "killed", "tests/test_it.py::test_it"),
        ("while True: double(3)", "timeout", "2 s"),
    ],
)
def test_outcomes(body: str, name: str, by: str, tmp_path: Path) -> None:
    base, tree = tmp_path / "base", tmp_path / "tree"
    (base / "tests").mkdir(parents=True)
    (base / "doubled.py").write_text("def double(x):\n    return x + 2\n")
    (base / "tests" / "test_it.py").write_text(f"from doubled import double\ndef test_it():\n    {body}\n")
    run.linked(base, tree)
    (mutant,) = (m for m in mutants("doubled.py", (base / "doubled.py").read_bytes()) if m.old == "+")
    run.write(base, tree, Mutant(**{**vars(mutant), "new": "*"}))
    assert "x + 2" in (base / "doubled.py").read_text()
    seconds = 2 if name == "timeout" else 60
    found = run.judge(tree, ("tests/test_it.py",), seconds, 30, set())
    assert found[:2] == (name, by)
    assert 0.1 < found.seconds < 60
