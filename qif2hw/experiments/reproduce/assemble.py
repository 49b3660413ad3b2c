"""The results as a page, a table for machines, and figures."""

import json
from collections.abc import Sequence
from pathlib import Path

from qif2hw.experiments.reproduce import figures, page
from qif2hw.experiments.reproduce.rows import Finished
from qif2hw.files import write_text
from qif2hw.host import machine


def assemble(finished: Sequence[Finished], wanted: int, out: Path, quick: bool) -> Path:
    """Write ``results.json``, ``results.md`` and ``results/figures`` into the folder ``out``; returns the page.

    ``wanted`` is the number of experiments that a complete page has.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    rows = [row.as_dict() for one in finished for row in one.rows]
    rows += [score.as_dict() for one in finished for score in one.scores]
    about = {"machine": machine(), "quick": quick, "runs": len(finished), "runs_wanted": wanted}
    write_text(out / "results.json", json.dumps({**about, "rows": rows}, indent=1) + "\n")
    drawn = figures.draw(finished, out / "results")
    return write_text(out / "results.md", page.render(finished, drawn, about))
