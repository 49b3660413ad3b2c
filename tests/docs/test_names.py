"""Modules, functions and files that the documentation names exist."""

import importlib
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pages import PAGES, ROOT, without_blocks

NAME = re.compile(r"`(qif2hw(?:_\w+)?(?:\.\w+)+)")
FILE = re.compile(r"`((?:cli|deploy|docs|hw_models|qif2hw|scripts|tests)/[\w./-]*)`")


def exists(name: str) -> bool:
    """Whether a dotted name can be imported, or is an attribute of something that can."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError as error:
            if not name.startswith(f"{error.name}"):
                return True  # the module is there, a package that it needs is not
            continue
        for part in parts[k:]:
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "changelog.md"], ids=lambda page: page.name)
def test_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not {name for name in NAME.findall(text) if not exists(name)}
    # Files of the worked examples are written by the reader.
    examples = set(re.findall(r'title="(?:addition to )?(.*?)"', text))
    assert not {name for name in FILE.findall(text) if not (ROOT / name).exists()} - examples


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_in_the_repository(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        path, _, anchor = link.partition("#")
        if path.startswith("http") or path == "passes.md":  # that page is made for the site
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", without_blocks(target), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}, link


def test_a_name_that_is_gone_is_seen() -> None:
    assert exists("qif2hw.neuron.commutator")
    assert not exists("qif2hw.neuron.disorder")
    assert not exists("qif2hw.nn.function")
