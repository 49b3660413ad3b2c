"""Every code block of README, CONTRIBUTING and docs/ runs, or says in the page why it does not."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from slayer_files import write

import qif2hw
from qif2hw import zoo
from qif2hw_cli.main import cli

sys.path.insert(0, str(Path(__file__).parent))
from pages import PAGES, ROOT, Block, blocks, without_blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LANGUAGES = {"python", "sh", "toml", "text", "yaml"}
SLOW = {"tutorial.md", "README.md", "lava-dl.md"}
RUN = {"compile", "conformance", "diff", "emit", "estimate", "import", "inspect", "run", "parity", "prove"}
"""Commands that take seconds, and are run where a page shows them."""
NOT_RUN = ("lava", "loihi2", "docs/results/", "chip.toml", "--max-error", "dask")
"""Parts of commands that need more than a second machine, a chip, or minutes."""


def shell_lines(block: Block) -> list[list[str]]:
    """Commands of a shell block as words, without comments, redirections and assignments in front."""
    lines = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if ">" in words:
            words = words[: words.index(">")]
        while words and re.match(r"[A-Z0-9_]+=", words[0]):
            words.pop(0)
        if words:
            lines.append(words)
    return lines


def provide(name: str, session: dict[str, Any]) -> None:
    """Put a file or a name there that a page takes as given, in the working directory or the session."""
    x = np.random.default_rng(0).random((8, 1))
    if name in ("model.onnx", "M.onnx"):
        shutil.copy(zoo.model("parabola"), name)
    elif name in ("model.qif", "M.qif"):
        shutil.copy(zoo.HOME / "parabola.qif", name)
    elif name == "x.npy":
        np.save(name, x)
    elif name == "x.csv":
        Path(name).write_text("x\n" + "".join(f"{value}\n" for value in x[:, 0]))
    elif name == "x":
        session["x"] = x
    elif name == "weights.npz":
        network = zoo.network("parabola")
        weights = {f"w{k}": np.asarray(p.weight) for k, p in enumerate(network.projections)}
        np.savez(name, phi0=np.concatenate([p.phi0 for p in network.order]), **weights)
    elif name == "network.net":
        write(Path(name))
    elif name not in ("lava", "lava-dl"):
        raise AssertionError(f"nothing is known about '{name}', which a page takes as given")


def python_pages() -> list[Any]:
    found = []
    for page in PAGES:
        chosen = [b for b in blocks(page) if b.language == "python" and not b.title and b.not_run is None]
        marks = [pytest.mark.slow] if page.name in SLOW else []
        if any({"lava", "lava-dl"} & set(b.given) for b in chosen):
            marks.append(pytest.mark.lava)
        if chosen:
            found.append(pytest.param(page, chosen, id=page.name, marks=marks))
    return found


@pytest.mark.parametrize(("page", "chosen"), python_pages())
def test_python_runs_in_order(page: Path, chosen: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any("lava" in block.given for block in chosen):
        import qif2hw_lava

        try:
            qif2hw_lava.find_interpreter()
        except qif2hw_lava.LavaMissing as reason:
            pytest.skip(str(reason))
    if any("lava-dl" in block.given for block in chosen):
        pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl needs Python 3.10")
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {"__name__": "__main__"}
    for block in chosen:
        for name in block.given:
            provide(name, session)
        # Empty lines in front, so that a traceback has the line of the page.
        exec(compile("\n" * block.line + block.text, str(page), "exec"), session)


def test_the_tutorial_leaves_a_bundle_and_has_all_its_steps() -> None:
    steps = [b for b in blocks(ROOT / "docs" / "tutorial.md") if b.language == "python"]
    assert len(steps) >= 6
    assert all(b.not_run is None for b in steps)
    assert any('save("cosine.qif")' in b.text for b in steps)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_name_their_language_or_a_reason(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: language '{block.language}'"
        assert block.not_run != "", f"{block}: 'not run' without a reason"
    for line in without_blocks(page).splitlines():
        assert not re.match(r"(    |\t)(qif2hw|pip|make|python|import|from|\$) ", line), (
            f"{page.name}: no fence: {line}"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    for block in blocks(page):
        if block.language == "sh" and block.not_run is None:
            for words in shell_lines(block):
                check_command(words, str(block))


def check_command(words: list[str], where: str) -> None:
    name = Path(words[0]).name
    if name == "qif2hw":
        parse(words[1:], where)
    elif name == "make":
        # In another folder: that of an emitted program.
        there = words[1:3] == ["-C", "program"]
        path = ROOT / ("qif2hw/emit/c99/common/Makefile" if there else "Makefile")
        targets = re.findall(r"^([a-z-]+):", path.read_text(), re.MULTILINE)
        assert set(words[3 if there else 1 :]) <= set(targets), f"{where}: {words}"
    elif name == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        named = [extra for word in words for part in re.findall(r"\[(.*)\]", word) for extra in part.split(",")]
        assert set(named) <= set(extras), f"{where}: {words}"
    elif name.startswith("python") or name in ("ruff", "mypy", "pre-commit", "lint-imports"):
        paths = [word for word in words[1:] if word.startswith(("tests/", "qif2hw/", "docs/"))]
        assert all((ROOT / path).exists() for path in paths), f"{where}: {words}"
    else:
        assert name in ("git", "cd"), f"{where}: nothing is known about the command {words}"


def parse(arguments: list[str], where: str) -> None:
    """Let the real command line parse the arguments, without running the command."""
    command: click.Command = cli
    context = click.Context(cli, info_name="qif2hw")
    rest = list(arguments)
    while isinstance(command, click.Group) and not rest[0].startswith("-"):
        word = rest.pop(0)
        found = command.get_command(context, word)
        assert found is not None, f"{where}: there is no command '{word}'"
        command, context = found, click.Context(found, parent=context, info_name=word)
    try:
        command.make_context(command.name, rest, parent=context.parent)
    except click.exceptions.Exit:
        assert set(rest) <= {"--help", "--version"}
    except click.UsageError as error:
        raise AssertionError(f"{where}: qif2hw {' '.join(arguments)}: {error.format_message()}") from None


def test_a_wrong_command_is_seen() -> None:
    for text in ("compile model.onnx --step 3", "compil model.onnx", "run model.qif -o out.npz", "bench trains"):
        with pytest.raises(AssertionError):
            parse(text.split(), "here")
    with pytest.raises(AssertionError):
        check_command(["pip", "install", ".[nothing]"], "here")
    with pytest.raises(AssertionError):
        check_command(["make", "nothing"], "here")
    with pytest.raises(AssertionError):
        check_command(["make", "-C", "program", "docs"], "here")
    with pytest.raises(AssertionError):
        check_command(["rm", "x"], "here")


def short_commands() -> list[Any]:
    return [
        pytest.param(words[1:], id=f"{block}-{' '.join(words[1:])}")
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh" and block.not_run is None
        for words in shell_lines(block)
        if words[0] == "qif2hw" and words[1] in RUN and not any(part in " ".join(words) for part in NOT_RUN)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", short_commands())
def test_short_commands_run(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"model.onnx", "M.onnx", "model.qif", "M.qif", "x.npy", "x.csv", "weights.npz", "network.net"}
    outputs = {arguments[k + 1] for k, word in enumerate(arguments[:-1]) if word in ("-o", "--report")}
    for name in (files - outputs) & set(arguments):
        provide(name, {})
    for name in ({"old.qif", "new.qif"} - outputs) & set(arguments):
        shutil.copy(zoo.HOME / "parabola.qif", name)
    if {"digits.onnx", "digits.qif"} & set(arguments):
        untrained_digits()
    if "ripple.onnx" in arguments or "ripple.qif" in arguments:
        shutil.copy(zoo.model("ripple"), "ripple.onnx")
        shutil.copy(zoo.HOME / "ripple.qif", "ripple.qif")
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert all(Path(name).exists() for name in outputs)


def untrained_digits() -> None:
    """A network of the task ``digits`` that has learned nothing, as ``digits.onnx`` and ``digits.qif``."""
    from qif2hw.experiments.tasks import images
    from qif2hw.nn import export
    from qif2hw.train.classify import build

    task = images.get("digits")
    data = task.data(None).train
    network = export(build(task, data).eval(), data.x.shape[1:], task.time_steps)
    qif2hw.save(network, "digits.onnx")
    qif2hw.compile(network, calibration=data.x[:100].astype(float)).save("digits.qif")


def test_there_are_short_commands() -> None:
    assert len(short_commands()) >= 6
