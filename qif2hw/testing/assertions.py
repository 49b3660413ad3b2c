"""Assertions about compiled networks."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from qif2hw import parity
from qif2hw.bundle import AnyBundle, load_any
from qif2hw.parity import Outcome

SAMPLES = 64
"""Random inputs where a test gives none."""


def assert_parity(
    bundle: AnyBundle,
    x: ArrayLike | None = None,
    *,
    backends: Sequence[str] = ("reference", "engine"),
    check: Callable[..., Any] | None = None,
    **options: Any,
) -> Outcome:
    """Fail unless every bound of `qif2hw.parity.check` holds; the message names those that are broken.

    Parameters
    ----------
    bundle
        A compiled network.
    x
        Inputs (samples, ...); without them 64 random ones, or with a stepped clock the golden ones.
    backends
        What to compare.
    check
        What checks, in place of `qif2hw.parity.check`.
    **options
        Further arguments of `qif2hw.parity.check`, ``bounds`` among them.

    Raises
    ------
    AssertionError
        If a bound is broken.
    """
    if x is None:
        x = parity.default_inputs(bundle, SAMPLES)
    run: Callable[..., Any] = parity.check if check is None else check
    outcome: Outcome = run(bundle, x, backends=backends, **options)
    broken = [
        f"{v.backend}: {v.quantity}: {v.measured:.4g}, at most {v.bound:.4g} {v.unit} ({v.note})"
        for v in outcome.verdicts
        if not v.ok
    ]
    if broken:
        raise AssertionError("\n".join(["parity is broken", *broken]))
    return outcome


def assert_golden(
    bundle: AnyBundle, path: str | os.PathLike[str], *, within: float = 0.0, update: bool = False
) -> None:
    """Fail unless a bundle gives what the one in a file gives, for the file's golden inputs.

    Parameters
    ----------
    bundle
        A network compiled now.
    path
        The bundle that was right.
    within
        Relative L2 error of the results that is accepted; with 0 the golden spikes must be equal, bit for bit.
    update
        Write the file instead, and its folder if there is none.

    Raises
    ------
    AssertionError
        If the results differ by more, or there is no file.
    """
    if update:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        bundle.save(path)
        return
    if not Path(path).exists():
        raise AssertionError(f"{os.fspath(path)}: no golden bundle; pytest --update-goldens writes it")
    golden = load_any(path)
    found = parity.drift(golden, bundle)
    same = golden.golden.matches(bundle.run(golden.golden.x))  # type: ignore[arg-type]
    if same or (within > 0 and found.within(within)):
        return
    changed = [f"{name}: {a} -> {b}" for name, (a, b) in found.options.items()]
    changed += [f"weights of {name}: {count} changed" for name, count in found.weights.items()]
    changed += [f"initial phases of {name}: {count} changed" for name, count in found.phases.items()]
    told = f"results {found.result.relative:.3g} apart (relative), largest {found.result.largest:.3g}"
    raise AssertionError("\n".join([f"{os.fspath(path)}: not what the golden bundle gives", told, *changed]))
