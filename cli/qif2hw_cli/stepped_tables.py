"""What the compiler found about a network with a stepped clock, in tables."""

from collections.abc import Mapping
from typing import Any

from qif2hw_cli.console import Output


def show_inputs(out: Output, inputs: Mapping[str, Any]) -> None:
    """Range and step of the integer inputs."""
    for name, found in inputs["groups"].items():
        out.say(f"inputs    '{name}': {inputs['bits']} bits, steps of {found['unit']:.4g} up to {found['largest']:.4g}")


def show_arithmetic(out: Output, arithmetic: Mapping[str, Any]) -> None:
    """Steps of the neurons and their thresholds."""
    out.table(
        "Neurons: integers by channel, counted from rest",
        ["population", "step", "thresholds", "resets"],
        [
            [name, found["step"], *(_span(found.get(key)) for key in ("threshold", "reset"))]
            for name, found in arithmetic["populations"].items()
        ],
        names=2,
    )


def _span(values: list[int] | None) -> str:
    if values is None:
        return ""
    low, high = values
    return str(low) if low == high else f"{low} to {high}"


def show_ranges(out: Output, ranges: Mapping[str, Any]) -> None:
    """Proven ranges of sums and registers."""
    out.table(
        "Proven ranges, within 24 bits",
        ["population", "least input", "largest input", "register"],
        [
            [name, *(str(found[key]) for key in ("low", "high", "register"))]
            for name, found in ranges["populations"].items()
        ],
    )
