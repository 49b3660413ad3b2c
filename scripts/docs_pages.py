"""Pages of the documentation site that are made at build time from the code and from files of the root.

A hook of MkDocs (``hooks`` in mkdocs.yml).  The home page is README.md, Command line, Passes and API come from the
code, and the architecture page's table of rooms from the import contract in pyproject.toml: none of them can fall
behind.
"""

import importlib.util
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import ModuleType
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def home() -> str:
    """README.md with links as seen from the folder of the pages."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = (
        re.sub(r"<!-- --8<-- .*? -->\n*", "", text)
        .replace("](docs/", "](")
        .replace("](CONTRIBUTING.md", "](extending.md")
    )
    return text.replace("](CHANGELOG.md", "](changelog.md").replace("[CITATION.cff](CITATION.cff)", "`CITATION.cff`")


def passes() -> str:
    """Every pass: its name, its options with types and defaults, and its docstring."""
    from qif2hw.compiler import passes_for, print_passes
    from qif2hw.compiler.clocks import STEPPED, TRIAL

    parts = [
        "# Passes",
        "The compiler is a list of passes. Each is a frozen dataclass whose fields are its options. Without options "
        "`qif2hw compile` runs the lists below; `qif2hw compile M.onnx --passes` prints that of the model's clock, "
        "`--passes TEXT` replaces it. [How to add a pass](extending.md#a-pass).",
    ]
    for title, clock in (("Event-driven networks", TRIAL), ("Networks in time steps", STEPPED)):
        listed = print_passes(passes_for(clock.options())).replace(",", ",\n")
        parts += [f"## {title}", f"```text\n{listed}\n```"]
        for name, kind in clock.passes.items():
            parts += [f"### {name}", f"`{kind.__module__}.{kind.__qualname__}`", _docstring(kind), _options(kind)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _docstring(kind: type) -> str:
    """The docstring without its section of parameters, which the table of options holds."""
    text = inspect.cleandoc(kind.__doc__ or "").split("\nParameters\n---", 1)[0]
    return re.sub(r"``(.+?)``", r"`\1`", text).strip()


def _options(kind: type) -> str:
    shown = [field for field in fields(kind) if field.name != "name"]
    if not shown:
        return "No options."
    described = _described(kind)
    columns = ["option", "type", "default", *(["meaning"] if described else [])]
    rows = [columns, ["---"] * len(columns)]
    for field in shown:
        default = "required" if field.default is MISSING else f"`{field.default!r}`"
        typed = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
        meaning = [described.get(field.name, "").replace("|", "\\|")] if described else []
        rows.append([f"`{field.name}`", f"`{_plain(typed)}`", default, *meaning])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _plain(annotation: str) -> str:
    return re.sub(r"\b(?:typing|qif2hw(?:\.\w+)+)\.", "", annotation).replace("|", "or")


def _described(kind: type) -> dict[str, str]:
    """Meaning of each parameter in a docstring of numpy style; several names may share one."""
    found: dict[str, str] = {}
    _, _, section = inspect.cleandoc(kind.__doc__ or "").partition("\nParameters\n----------\n")
    for names, text in re.findall(r"^(\w[\w, ]*)\n((?:    .*\n?|\n(?=    ))+)", section, flags=re.MULTILINE):
        meaning = re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split()))
        found |= {name.strip(): meaning for name in names.split(",")}
    return found


def commands() -> str:
    """The help of every command, as it prints it."""
    import click

    from qif2hw_cli.main import cli

    parts = [
        "# Command line",
        "What `qif2hw COMMAND --help` prints. [Completion in the shell](install.md#completion-in-the-shell).",
    ]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100)
        if parent is not None:
            parts.extend([f"## {context.command_path}", f"```text\n{command.get_help(context).strip()}\n```"])
        if isinstance(command, click.Group):
            for one in command.list_commands(context):
                found = command.get_command(context, one)
                assert found is not None
                add(found, one, context)

    add(cli, "qif2hw", None)
    return "\n\n".join(parts) + "\n"


def rooms() -> str:
    """The layers of the import contract, top first, with what each package or module is for."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(one["layers"] for one in contract["contracts"] if one.get("containers") == ["qif2hw"])
    rows = ["| layer | room | what it holds |", "|---:|---|---|"]
    for level, layer in enumerate(reversed(layers)):
        # A name in parentheses may be missing.
        present = [name for name in re.findall(r"\w+", layer) if importlib.util.find_spec(f"qif2hw.{name}")]
        for k, name in enumerate(present):
            module = importlib.import_module(f"qif2hw.{name}")
            summary = inspect.cleandoc(module.__doc__ or "").split("\n\n", 1)[0].replace("\n", " ")
            summary = re.sub(r"``(.+?)``", r"`\1`", summary).replace("|", "\\|")
            rows.insert(2 + k, f"| {level} | `{name}` | {summary} |")
    return "\n".join(rows)


def api(modules: Sequence[str]) -> dict[str, str]:
    """A page for each public module with the names in its ``__all__``; a shared name is on the page of the last one."""
    public = {name: _public(importlib.import_module(name)) for name in modules}
    owner = {id(thing): name for name, members in public.items() for thing in members.values()}
    pages = {}
    for name, members in public.items():
        own = [member for member, thing in members.items() if owner[id(thing)] == name]
        links = [f"[`{member}`][{owner[id(thing)]}.{member}]" for member, thing in members.items() if member not in own]
        also = f"\nDescribed elsewhere: {', '.join(links)}.\n" if links else ""
        options = f"    options:\n      show_root_heading: false\n      members: {own}\n"
        pages[f"api/{name}.md"] = f"# {name}\n\n::: {name}\n{options}{also}"
    return pages


def _public(module: ModuleType) -> dict[str, Any]:
    """Names in ``__all__``, or those that the module defines; without other modules."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [n for n, x in vars(module).items() if n[0] != "_" and getattr(x, "__module__", "") == module.__name__]
    return {name: x for name in names if not inspect.ismodule(x := getattr(module, name))}


def _api_modules(nav: Any) -> list[str]:
    """Modules whose page ``api/MODULE.md`` the navigation lists, in its order."""
    if isinstance(nav, str):
        return [nav[len("api/") : -len(".md")]] if nav.startswith("api/") else []
    return [name for part in (nav.values() if isinstance(nav, dict) else nav) for name in _api_modules(part)]


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made here."""
    made = {"index.md": home(), "commands.md": commands(), "passes.md": passes(), **api(_api_modules(config.nav))}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the table of rooms where a page asks for it; the site has CONTRIBUTING.md under another name."""
    markdown = markdown.replace("](../CONTRIBUTING.md", "](extending.md")
    return markdown.replace("<!-- table of rooms -->", rooms()) if "<!-- table of rooms -->" in markdown else markdown


_FOREIGN = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//|<link\b[^>]*\brel=[\"']?stylesheet[^>]*https?://"
)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that would load anything from elsewhere: the site must work without a network."""
    if found := _FOREIGN.search(output):
        raise ValueError(f"{page.file.src_uri} loads something from elsewhere: {output[found.start() :][:80]}")
    return output
