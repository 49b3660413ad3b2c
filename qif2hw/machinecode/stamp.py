"""The stamp of a kernel: a digest of all sources that it may inline."""

import hashlib
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_IMPORT = re.compile(
    r"^(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([^\n#]+))", re.MULTILINE
)


@lru_cache
def stamp(module: str) -> str:
    """Digest of a module's source and of all sources of its package that it imports, directly or not.

    Imports inside functions do not count: what a kernel inlines is there when its file has been imported.
    """
    top = sys.modules[module.partition(".")[0]]
    home = Path(next(iter(getattr(top, "__path__", [""]))))
    seen: dict[str, Path | None] = {module: Path(str(sys.modules[module].__file__))}
    waiting = [module]
    while waiting:
        file = seen[waiting.pop()]
        for name in _imports(file) if file else ():
            if name not in seen and name.partition(".")[0] == module.partition(".")[0]:
                seen[name] = _file(home, name)
                waiting.append(name)
    whole = hashlib.sha256()
    for name, file in sorted(seen.items()):
        if file:
            whole.update(name.encode() + b"\0" + _text(file).encode() + b"\0")
    return whole.hexdigest()


def _imports(file: Path) -> Iterator[str]:
    """What the import statements of a file name: modules, and names that may be modules."""
    for source, names, plain in _IMPORT.findall(_text(file)):
        for name in re.findall(r"[\w.]+", re.sub(r"\bas\s+\w+", "", names or plain)):
            yield f"{source}.{name}" if source else name
        if source:
            yield source


def _file(home: Path, module: str) -> Path | None:
    """The source of a module below ``home``, the folder of a top-level package's name; None if there is none."""
    parts = module.split(".")[1:]
    base = home.joinpath(*parts)
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if parts and f.is_file()), None)


@lru_cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
