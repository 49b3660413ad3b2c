"""No output of a command is one of its inputs, or another of its outputs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from qif2hw_cli.main import cli
from qif2hw_cli.options.streams import File, InputFile


def commands(group: click.Group, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), name)
        assert one is not None
        if isinstance(one, click.Group):
            yield from commands(one, *words, name)
        else:
            yield (*words, name), one


def pairs() -> Iterator[tuple[tuple[str, ...], click.Parameter, click.Parameter]]:
    """Commands, what they write, and what they read or write besides."""
    for words, command in commands(cli):
        files = [(p, p.type) for p in command.params if isinstance(p.type, File)]
        for output, kind in files:
            for other, its in files:
                if kind.writes and output is not other and not (kind.folder and (its.folder or not its.writes)):
                    yield words, output, other


def given(param: click.Parameter, path: Path) -> list[str]:
    return [str(path)] if isinstance(param, click.Argument) else [param.opts[0], str(path)]


PAIRS = [pytest.param(*one, id=" ".join((*one[0], one[1].opts[0], one[2].opts[0]))) for one in pairs()]


@pytest.mark.parametrize(("words", "output", "other"), PAIRS)
def test_it_is_refused(
    words: tuple[str, ...], output: click.Parameter, other: click.Parameter, call: Any, tmp_path: Path
) -> None:
    path, link = tmp_path / "file.csv", tmp_path / "link"
    if isinstance(other.type, InputFile):
        path.write_bytes(b"of the user")
    link.symlink_to(path)
    for one in (path, link):
        line = call.refused(*words, *given(output, one), *given(other, path))
        assert line.endswith("; name another file")
        assert any(f"{p.opts[0]} " in line for p in (output, other))
    assert not path.exists() or path.read_bytes() == b"of the user"


def test_commands_are_covered() -> None:
    names = {" ".join((*words, output.opts[0])) for words, output, _ in pairs()}
    assert {
        "run -o", "compile -o", "import -o", "emit -o", "parity --report", "parity --json", "train -o",
        "train --checkpoint", "prove --state",
    } <= names  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        lambda kit, x, _: ("run", kit.bundle, "--inputs", x, "-o", x),
        lambda kit, x, _: ("parity", kit.bundle, "--inputs", kit.inputs, "--labels", f"{x}:y", "--json", x),
        lambda kit, x, _: ("compile", kit.model, "-o", x, "--target", x),
        lambda kit, x, _: ("train", f"{x}:task", "-o", x),
        lambda kit, _, other: ("parity", kit.bundle, "--json", other, "--report", other),
        lambda kit, _, other: ("train", "parabola", "-o", other, "--report", other),
    ],
)
def test_values_that_are_more_than_a_path(words: Callable[..., Any], call: Any, kit: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("y\n1\n")
    assert "; name another file" in call.refused(*words(kit, path, tmp_path / "new"))
    assert path.read_text() == "y\n1\n"
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]


def test_what_is_no_file_of_the_command_goes_on(
    call: Any, kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loihi = tmp_path / "loihi2"
    loihi.write_bytes(b"replaced")
    assert call("compile", kit.model, "-o", "loihi2", "--rounding", "nearest").exit_code == 0
    assert loihi.read_bytes() != b"replaced"
    for _ in range(2):
        assert call("run", kit.bundle, "--inputs", kit.inputs, "-o", tmp_path / "out.npz").exit_code == 0
