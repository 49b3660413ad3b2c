"""Chips: their limits, each with its source and status."""

import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from qif2hw.engine.integers import PRODUCT_BITS
from qif2hw.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


LIMITS: dict[str, str] = {
    "cores": "cores of a chip",
    "neurons_per_core": "neurons a core can hold",
    "memory_per_core_bytes": "memory of a core for synapses, tables and neuron state together",
    "synaptic_memory_per_core_bytes": "memory of a core for synapses alone",
    "state_bits": "width of a neuron's state registers",
    "weight_bits": "most bits of a weight",
    "payload_bits": "most bits that a spike carries; 0: it carries none",
    "delay_bits": "most bits of a synaptic delay",
    "input_axons_per_core": "sources that may send to one core",
    "fan_in_split": "1 if one neuron's synapses may lie on several cores, which send it partial sums",
    "programmable_neurons": "1 if the neuron model is a program, 0 if it is fixed",
    "product_bits": "width of a product, and of a sum of products before its shift",
    "table_bytes": "memory of the tables that a neuron's program reads",
    "division": "1 if a neuron's program can divide; 0: it compares and subtracts, as the integer machine always does",
    "messages_per_spike": "messages that a neuron sends for one spike: 1 carries flag and lateness together",
}
"""Every limit a target may state, and what it means."""
MAY_BE_ZERO = ("payload_bits", "delay_bits", "fan_in_split", "programmable_neurons", "division")
STATUS = ("published", "inferred")
"""Of a limit: its source states it; or the source shows it, without saying that there is no more."""
LEAST = {"product_bits": 33}
"""Smallest values that the integer machine can do anything with."""


@dataclass(frozen=True)
class Limit:
    """One limit of a chip, where it is from, and its status (`STATUS`)."""

    value: int
    source: str
    status: str = "published"


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

    def named(self, name: str) -> str:
        """A limit for a message: its name, and its status unless it is published."""
        found = self.limits.get(name)
        return name if found is None or found.status == STATUS[0] else f"{name}, {found.status}"


def product_bits_of(target: Target) -> int:
    """Width of products: the target's, or what the integer machine has everywhere."""
    return min(PRODUCT_BITS, target.limit("product_bits") or PRODUCT_BITS)


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
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"target '{name}' cannot be read: {error}") from None
    else:
        raise InputError(f"no target '{name}': known are {', '.join(known_targets())}, or the path of a TOML file")
    try:
        return _parse(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, InputError) as error:
        raise InputError(f"target '{name}' is not a target description: {error}") from None


def _parse(data: dict[str, Any]) -> Target:
    about = _table(data, "target")
    base = about.get("extends")
    if base is not None and base not in known_targets():
        raise InputError(f"[target] extends '{base}': known are {', '.join(known_targets())}")
    for key in ("name", "title"):
        if not isinstance(about.get(key), str) or not about[key]:
            raise InputError(f"[target] needs a text '{key}'")
    limits = _table(data, "limits")
    if extra := sorted(set(data) - {"target", "limits"}):
        raise InputError(f"unknown table [{extra[0]}]")
    own = {name: _limit(name, _table(limits, name)) for name in limits}
    return Target(about["name"], about["title"], own if base is None else load_target(base).limits | own)


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict):
        raise InputError(f"the table [{name}] is missing" if found is None else f"{name} must be a table")
    return found


def _limit(name: str, entry: dict[str, Any]) -> Limit:
    if name not in LIMITS:
        raise InputError(f"unknown limit '{name}': known are {', '.join(LIMITS)}")
    value, source, status = entry.get("value"), entry.get("source"), entry.get("status", STATUS[0])
    least = 0 if name in MAY_BE_ZERO else LEAST.get(name, 1)
    # In Python true is an integer.
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"limit '{name}' needs a whole number of at least {least} as 'value'")
    if not isinstance(source, str) or not source.strip():
        raise InputError(f"limit '{name}' needs a 'source': where was it published?")
    if status not in STATUS:
        raise InputError(f"limit '{name}' has the status '{status}': {' and '.join(STATUS)} are possible")
    if extra := sorted(set(entry) - {"value", "source", "status"}):
        raise InputError(f"limit '{name}' has an unknown entry '{extra[0]}'")
    return Limit(value, source, status)
