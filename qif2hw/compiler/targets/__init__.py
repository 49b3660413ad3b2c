"""Chips: their published limits, each with its source."""

import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from qif2hw.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Limit:
    """One limit of a chip and where it was published."""

    value: int
    source: str


@dataclass(frozen=True)
class Target:
    """A chip: its name, a line about it, and its limits by name; a limit that is absent does not bind."""

    name: str
    title: str
    limits: dict[str, Limit]

    def limit(self, name: str) -> int | None:
        """Value of a limit, None where there is none."""
        found = self.limits.get(name)
        return found.value if found else None


def known_targets() -> tuple[str, ...]:
    """Names of the targets that come with the package."""
    return tuple(
        sorted(p.name[: -len(".toml")] for p in resources.files(__name__).iterdir() if p.name.endswith(".toml"))
    )


def load_target(name: str) -> Target:
    """A target by name, or from the TOML file at that path.

    Raises
    ------
    InputError
        If there is no such target, or the file does not describe one.
    """
    if name in known_targets():
        text = (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")
    elif Path(name).is_file():
        text = Path(name).read_text(encoding="utf-8")
    else:
        raise InputError(f"no target '{name}': known are {', '.join(known_targets())}, or the path of a TOML file")
    try:
        return _parse(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"target '{name}' is not a target description: {error}") from None


def _parse(data: dict[str, Any]) -> Target:
    limits = {name: Limit(int(entry["value"]), str(entry["source"])) for name, entry in data["limits"].items()}
    return Target(str(data["target"]["name"]), str(data["target"]["title"]), limits)
