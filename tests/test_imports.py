"""Imports by name are invisible to import-linter: here is where they are allowed, and why."""

import ast
from collections.abc import Iterator
from pathlib import Path

HOME = Path(__file__).parents[1]

ALLOWED = {
    # The one inversion: backends are loaded by entry point.
    "qif2hw/backends.py": {"entry_points"},
    # Lazy names of the package; the same imports stand in the file under TYPE_CHECKING.
    "qif2hw/__init__.py": {"import_module"},
    "cli/qif2hw_cli/main.py": {"import_module"},
    # A child process that runs the module its parent names.
    "hw_models/qif2hw_lava/worker.py": {"import_module"},
    # The vendor's half of the adapter for Loihi 2, in the process that runs Lava.
    "deploy/qif2hw_deploy/loihi2/half.py": {"entry_points"},
    # Optional packages of others, and modules of the same room.
    "qif2hw/bench/peers.py": {"import_module"},
    "qif2hw/bench/simulators/brian.py": {"import_module"},
    "qif2hw/bench/simulators/nest.py": {"import_module"},
    "cli/qif2hw_cli/commands/bench/measure.py": {"import_module"},
}


def imports_by_name(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.Name):
            name = node.id
        elif isinstance(node, ast.alias):
            name = node.name
        else:
            continue
        if name in ("import_module", "__import__", "entry_points", "exec_module", "run_module", "resolve_name"):
            yield name


def test_imports_by_name_stand_where_they_are_allowed() -> None:
    found: dict[str, set[str]] = {}
    for room in ("qif2hw", "cli", "hw_models", "deploy"):
        for path in sorted((HOME / room).rglob("*.py")):
            if names := set(imports_by_name(path)):
                found[path.relative_to(HOME).as_posix()] = names
    assert found.keys() <= ALLOWED.keys()
    for file, names in found.items():
        assert names <= ALLOWED[file], file
    assert "qif2hw/backends.py" in found
