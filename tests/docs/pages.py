"""Code blocks of the documentation.

A fence may be preceded by HTML comments: ``<!-- not run: REASON -->`` excludes it, ``<!-- given: A, B -->`` names what
a reader has at that point (files or names that the tests then provide).
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(
    r"(?P<comments>(?:^[ ]*<!--(?:(?!-->).)*-->\n)*)^(?P<indent>[ ]*)```(?P<info>[^\n`]*)\n"
    r"(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    given: tuple[str, ...]
    not_run: str | None
    """Why it is not run; None if it is."""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        comments, info = match["comments"], match["info"].strip()
        given = re.findall(r"<!-- given: (.*?) -->", comments)
        reasons = re.findall(r"<!-- not run:(.*?)-->", comments, re.DOTALL)
        title = re.search(r'title="(.*?)"', info)
        indent = len(match["indent"])
        found.append(
            Block(
                page=page,
                line=text[: match.start("info")].count("\n") + 1,
                language=info.split()[0] if info else "",
                title=title[1] if title else "",
                text="".join(line[indent:] for line in match["text"].splitlines(keepends=True)),
                given=tuple(name.strip() for part in given for name in part.split(",")),
                not_run=reasons[0].strip() if reasons else None,
            )
        )
    return found


def without_blocks(page: Path) -> str:
    """The text of a page outside its fences."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))
