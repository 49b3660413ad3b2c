"""Pages that the site's hook makes, and that they follow the code."""

import ast
import importlib.util
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import click
import pytest

from qif2hw.compiler import CompileOptions, passes_for
from qif2hw.compiler.clocks import STEPPED, TRIAL

sys.path.insert(0, str(Path(__file__).parent))
from pages import blocks

ROOT = Path(__file__).parents[2]
yaml = pytest.importorskip("yaml", reason="the extra docs is not installed")
pytest.importorskip("mkdocs", reason="the extra docs is not installed")
griffe = pytest.importorskip("griffe", reason="the extra docs is not installed")


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pages", ROOT / "scripts" / "docs_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nav_of(config: dict[str, Any]) -> list[str]:
    def walk(part: Any) -> list[str]:
        if isinstance(part, str):
            return [part]
        return [page for one in (part.values() if isinstance(part, dict) else part) for page in walk(one)]

    return walk(config["nav"])


def test_the_page_of_passes_has_each_pass_with_its_options(hook: ModuleType) -> None:
    sections = re.findall(r"^### (\S+)\n(.*?)(?=^###? |\Z)", hook.passes(), re.MULTILINE | re.DOTALL)
    assert [name for name, _ in sections] == [*TRIAL.passes, *STEPPED.passes]
    kinds = [*TRIAL.passes.values(), *STEPPED.passes.values()]
    for (name, section), kind in zip(sections, kinds, strict=True):
        shown = dict(re.findall(r"^\| `(\w+)` \| .*? \| `?(.*?)`? (?:\||$)", section, re.MULTILINE))
        wanted = {f.name: repr(f.default) for f in fields(kind) if f.name != "name"}
        assert shown == wanted
        assert kind.__doc__
        assert kind.__doc__.splitlines()[0].split("``")[0] in section
        assert set(hook._described(kind)) == set(wanted), f"{name}: options without an explanation"


def test_the_page_of_commands_has_each_command_with_its_options(hook: ModuleType) -> None:
    from qif2hw_cli.main import cli

    sections = dict(re.findall(r"^## (qif2hw .*?)\n(.*?)(?=^## |\Z)", hook.commands(), re.MULTILINE | re.DOTALL))
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        text = sections[f"qif2hw {name}"]
        assert f"Usage: qif2hw {name}" in text
        shown = [one for one in command.params if not getattr(one, "hidden", False)]
        options = {option for one in shown for option in one.opts if option.startswith("--")}
        assert options <= set(re.findall(r"--[\w-]+", text))
    assert "qif2hw jobs status" in sections


def test_options_are_explained_where_the_docstring_does(hook: ModuleType) -> None:
    class Described:
        """A pass.

        Parameters
        ----------
        first, second
            Both of ``them``,
            in two lines.
        third
            Another | one.
        """

    meaning = hook._described(Described)
    assert meaning == {
        "first": "Both of `them`, in two lines.",
        "second": "Both of `them`, in two lines.",
        "third": "Another | one.",
    }


def test_every_room_of_the_contract_is_explained(hook: ModuleType) -> None:
    text = hook.rooms()
    found = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    files = [p for p in (ROOT / "qif2hw").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    assert {name for _, name, _ in found} == {p.stem for p in files} - {"__init__"}
    assert all(summary.strip() for *_, summary in found)
    order = {name: int(level) for level, name, _ in found}
    assert order["errors"] == 0
    assert order["neuron"] < order["ir"] < order["engine"] < order["parity"] < order["bench"]


def test_the_drawing_names_the_passes_of_the_compiler() -> None:
    root = ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    names = [one.name for one in passes_for(CompileOptions())]
    start = texts.index(names[0])
    assert texts[start : start + len(names)] == names


def test_the_home_page_links_into_the_site(hook: ModuleType) -> None:
    text = hook.home()
    for target in re.findall(r"\]\(([^)#]+)", text):
        if not target.startswith("http"):
            assert (ROOT / "docs" / target).exists(), target
    assert "--8<--" not in text


def test_the_navigation_has_every_page() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = {page for page in nav_of(config) if not page.startswith("api/")}
    assert pages == {p.name for p in (ROOT / "docs").glob("*.md")} | {"index.md", "commands.md", "passes.md"}
    for page in nav_of(config):
        if page.startswith("api/"):
            assert importlib.util.find_spec(page.removeprefix("api/").removesuffix(".md"))


def test_what_the_worked_examples_import_is_on_the_pages_of_the_api(hook: ModuleType) -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    modules = hook._api_modules(nav)
    shown = {id(thing) for name in modules for thing in hook._public(importlib.import_module(name)).values()}
    imported = 0
    for block in blocks(ROOT / "CONTRIBUTING.md"):
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.text)):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("qif2hw"):
                continue
            if importlib.util.find_spec(str(node.module)) is None:
                continue  # a module of the example itself
            for name in node.names:
                thing = getattr(importlib.import_module(str(node.module)), name.name)
                found = thing.__name__ in modules if isinstance(thing, ModuleType) else id(thing) in shown
                assert found, f"{block}: {node.module}.{name.name}"
                imported += 1
    assert imported > 10


def test_parameters_described_together_keep_types_of_their_own() -> None:
    extensions = griffe.load_extensions("dataclasses", str(ROOT / "scripts" / "docs_types.py"))
    module: Any = griffe.load(
        "qif2hw.compiler.state", extensions=extensions, docstring_parser="numpy", docstring_options={"warnings": False}
    )
    section = module["CompilerState"].docstring.parsed[1]
    types = {p.name: (str(p.annotation), str(p.value)) for p in section.value}
    assert types["network"] == ("N", "None")
    assert types["target"] == ("Target", "None")
    assert types["passes"] == ("tuple[Pass, ...]", "()")


def test_a_page_that_loads_from_elsewhere_is_refused(hook: ModuleType) -> None:
    class Page:
        class file:
            src_uri = "x.md"

    assert hook.on_post_page('<a href="https://example.org">x</a><script src="a.js"></script>', Page)
    for bad in (
        '<script src="https://x/y.js">',
        '<img alt="" src=//x/y.png>',
        '<link rel="stylesheet" href="https://x">',
    ):
        with pytest.raises(ValueError, match="elsewhere"):
            hook.on_post_page(bad, Page)


def test_versions_agree() -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type", "license"} <= set(citation)
    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert version in headings


def test_moved_modules_are_where_the_changelog_says() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    rows = re.findall(r"^\| (`.*) \| `([\w.]+)`.* \|$", text.split("### Moved")[1], re.MULTILINE)
    assert len(rows) > 40
    for old, new in rows:
        assert importlib.util.find_spec(new), new
        for name in re.findall(r"`([\w.]+)`", old):
            with pytest.raises(ModuleNotFoundError):
                importlib.import_module(name)
