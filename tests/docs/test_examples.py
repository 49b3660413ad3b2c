"""The worked examples of CONTRIBUTING.md: written into an empty folder as the page says, and tested there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pages import ROOT, Block, blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = ROOT / "CONTRIBUTING.md"
ADDITION = "addition to "


def examples() -> dict[str, list[Block]]:
    """Titled blocks by the heading they stand under."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    headings = [(k, line.removeprefix("## ")) for k, line in enumerate(lines, start=1) if line.startswith("## ")]
    found: dict[str, list[Block]] = {}
    for block in blocks(PAGE):
        if block.title:
            found.setdefault([name for line, name in headings if line < block.line][-1], []).append(block)
    return found


def write(folder: Path, chosen: list[Block]) -> list[str]:
    """Write an example's files, and a conftest.py that puts its modules into packages of qif2hw; the import folders.

    An addition to a file of qif2hw is executed at the end of that module, as if it stood there.
    """
    packages, additions, paths = [], [], [folder]
    for block in chosen:
        if block.title.startswith(ADDITION):
            module = block.title.removeprefix(ADDITION).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            additions.append((module, block.text))
            continue
        file = folder / block.title
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)
        if file.suffix == ".py" and block.title.startswith("qif2hw/"):
            packages.append((".".join(Path(block.title).parent.parts), str(file.parent)))
        if file.name == "pyproject.toml":
            paths += [file.parent, installed(folder / "site", block.text)]
    (folder / "conftest.py").write_text(
        "import importlib\n"
        f"for package, folder in {packages!r}:\n    importlib.import_module(package).__path__.append(folder)\n"
        f"for module, text in {additions!r}:\n    exec(text, vars(importlib.import_module(module)))\n"
    )
    return [str(path) for path in paths]


def installed(site: Path, pyproject: str) -> Path:
    """The metadata that pip would leave in ``site``."""
    project = tomllib.loads(pyproject)["project"]
    info = site / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in entries.items()) for group, entries in groups]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


def test_every_kind_has_an_example() -> None:
    assert list(examples()) == ["A pass", "A backend", "A task", "A target", "A neuron"]


@pytest.mark.slow
@pytest.mark.parametrize("name", examples())
def test_an_example_passes_its_own_tests(name: str, tmp_path: Path) -> None:
    chosen = examples()[name]
    assert sum(bool(line.strip()) for block in chosen for line in block.text.splitlines()) < 60
    paths = write(tmp_path, chosen)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    environment = {"PYTHONPATH": ":".join(paths), "PYTHONWARNINGS": "error"}
    result = subprocess.run(
        command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^\d+ passed", result.stdout.splitlines()[-1]), result.stdout


@pytest.mark.slow
def test_a_wrong_example_fails(tmp_path: Path) -> None:
    chosen = examples()["A target"]
    write(tmp_path, chosen)
    test = tmp_path / "tests" / "compiler" / "test_smallchip.py"
    test.write_text(test.read_text().replace("== 5", "== 6"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1
