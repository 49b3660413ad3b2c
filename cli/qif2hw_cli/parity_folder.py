"""``qif2hw parity FOLDER``: all bundles below a folder, one line each."""

from pathlib import Path
from typing import Any

from qif2hw.errors import InputError
from qif2hw_cli.console import Output

ALONE = ("inputs", "labels", "report", "explain", "shards", "shard")
"""Options that are about one bundle."""


def check_folder(out: Output, folder: Path, names: tuple[str, ...], given: set[str], bounds: Any, stepped: Any) -> Any:
    """Outcomes by the bundles' paths below the folder, as plain values, and whether all hold.

    Parameters
    ----------
    out, folder, names
        Where to report, where to look, and the backends.
    given
        Options of the command line.
    bounds, stepped
        Bounds for either clock.

    Raises
    ------
    InputError
        If an option is about one bundle, or the folder holds none.
    """
    from qif2hw import bundle as bundles
    from qif2hw.parity import check
    from qif2hw_cli.parity import inputs_of

    for name in ALONE:
        if name in given:
            raise InputError(f"--{name}: it is an option for one bundle, and {folder} is a folder")
    paths = sorted(folder.rglob("*.qif"))
    if not paths:
        raise InputError(f"{folder}: no bundle (*.qif) in this folder")
    found: dict[str, Any] = {}
    rows = []
    for path in paths:
        name = str(path.relative_to(folder))
        bundle: Any = bundles.load_any(path)
        limits = stepped if isinstance(bundle, bundles.SteppedBundle) else bounds
        with out.stage(name) as stage:
            outcome: Any = check(bundle, inputs_of(bundle, None), backends=names, bounds=limits, progress=stage.update)
        found[name] = outcome.to_dict()
        broken = [v for v in outcome.verdicts if not v.ok]
        words = "; ".join(f"{v.backend}: {v.quantity} {v.measured:.3g} above {v.bound:.3g} {v.unit}" for v in broken)
        rows.append([name, str(outcome.samples), "yes" if outcome.ok else "NO", words])
    out.table("Bundles", ["bundle", "samples", "holds", "broken bounds"], rows, names=1)
    ok = all(one["ok"] for one in found.values())
    out.say(f"{'parity holds' if ok else 'PARITY IS BROKEN'} ({len(found)} bundles)")
    return {"ok": ok, "bundles": found}
