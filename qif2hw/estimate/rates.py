"""What a step and a second of a chip cost: data files of rates, each with its source and status."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from qif2hw.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STATUS = ("measured", "derived", "scaled")
"""Of a rate: published by who measured it; computed from such; another figure times a factor."""
NEEDED = {
    "step": "s",
    "neuron_low": "s",
    "neuron_high": "s",
    "rails_low": "W",
    "rails_high": "W",
    "static": "W",
    "board": "W",
}
"""Rates that a bracket needs, and their units: see `qif2hw.estimate.bracket`."""


@dataclass(frozen=True)
class Rate:
    """A number, its unit, its status (`STATUS`) and where it is from."""

    value: float
    unit: str
    status: str
    source: str


@dataclass(frozen=True)
class Rates:
    """Rates of a chip by name, and the targets that they are for."""

    name: str
    title: str
    targets: tuple[str, ...]
    rates: Mapping[str, Rate]

    def __getitem__(self, name: str) -> float:
        return self.rates[name].value


def known_rates() -> tuple[str, ...]:
    """Names of the rates that come with the package."""
    return ("loihi2",)


def rates_for(target: str) -> Rates | None:
    """Rates of a target by its name, None where nothing is published for it."""
    return next((found for found in map(load_rates, known_rates()) if target in found.targets), None)


def load_rates(name: str) -> Rates:
    """Rates by name, or from the TOML file at that path.

    Raises
    ------
    InputError
        If there are none of this name, or the file does not hold the rates that are needed.
    """
    if name not in known_rates() and not Path(name).is_file():
        raise InputError(f"no rates '{name}': known are {', '.join(known_rates())}, or the path of a TOML file")
    try:
        return _parse(read_toml(name))
    except InputError as error:
        raise InputError(f"rates '{name}': {error}") from None


def read_toml(name: str) -> dict[str, Any]:
    """A data file of this package by name, or the file at that path; `InputError` if it is no TOML."""
    own = resources.files("qif2hw.estimate") / f"{name}.toml"
    try:
        return tomllib.loads((own if own.is_file() else Path(name)).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot be read ({error})") from None


def _parse(data: Mapping[str, Any]) -> Rates:
    for key in ("name", "title"):
        if not isinstance(data.get(key), str) or not data[key]:
            raise InputError(f"a text '{key}' is needed")
    targets, given = data.get("targets", []), data.get("rates")
    if not isinstance(targets, list) or not all(isinstance(one, str) for one in targets):
        raise InputError("targets: names of targets are needed")
    if not isinstance(given, dict):
        raise InputError("the tables [rates.NAME] are missing")
    if other := sorted(set(given) ^ set(NEEDED)):
        raise InputError(f"[rates.{other[0]}] is {'missing' if other[0] in NEEDED else 'unknown'}")
    rates = {name: _rate(name, given[name]) for name in NEEDED}
    for low, high in (("neuron_low", "neuron_high"), ("rails_low", "rails_high"), ("static", "rails_low")):
        if rates[low].value > rates[high].value:
            raise InputError(f"{low} is larger than {high}")
    return Rates(data["name"], data["title"], tuple(targets), rates)


def _rate(name: str, entry: Any) -> Rate:
    found = entry if isinstance(entry, dict) else {}
    value, unit, status, source = (found.get(key) for key in ("value", "unit", "status", "source"))
    if not isinstance(value, float | int) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise InputError(f"[rates.{name}] needs a number above 0 as 'value'")
    if unit != NEEDED[name]:
        raise InputError(f"[rates.{name}] needs the unit '{NEEDED[name]}'")
    if status not in STATUS:
        raise InputError(f"[rates.{name}] needs a 'status': {', '.join(STATUS)}")
    if not isinstance(source, str) or not source.strip():
        raise InputError(f"[rates.{name}] needs a 'source': where was it published?")
    return Rate(float(value), unit, status, source)
