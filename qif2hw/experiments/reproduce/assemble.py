"""The results as a page, a table for machines, and figures."""

import json
from pathlib import Path
from typing import Any

from qif2hw.experiments.reproduce import figures, page
from qif2hw.experiments.reproduce.plan import Job
from qif2hw.experiments.reproduce.rows import Row
from qif2hw.files import write_text
from qif2hw.host import machine

Finished = list[tuple[Job, list[Row], dict[str, Any]]]


def assemble(finished: Finished, wanted: int, out: Path, quick: bool) -> Path:
    """Write ``results.json``, ``results.md`` and ``results/figures`` into the folder ``out``; returns the page.

    ``wanted`` is the number of runs that a complete page has.
    """
    rows = [row for _, found, _ in finished for row in found]
    about = {"machine": machine(), "quick": quick, "runs": len(finished), "runs_wanted": wanted}
    write_text(out / "results.json", json.dumps({**about, "rows": [row.as_dict() for row in rows]}, indent=1) + "\n")
    drawn = figures.draw(finished, out / "results")
    return write_text(out / "results.md", page.render(finished, drawn, about))
