"""The page of results, in Markdown."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qif2hw.experiments import tasks
from qif2hw.experiments.reproduce.plan import STEPS, WEIGHT_BITS
from qif2hw.experiments.reproduce.rows import Finished, Row, Score
from qif2hw.experiments.tasks.images import TASKS as IMAGE_TASKS

_TITLES = {
    "qif-float": "QIF, float",
    "qif-engine": "QIF, engine",
    "qif-lava": "QIF, Lava (sample)",
    "ann": "ANN (tanh)",
    "null": "no network",
}


def render(finished: Sequence[Finished], figures: dict[str, list[Path]], about: dict[str, Any]) -> str:
    """The page in Markdown: for every task a table, and its figures.

    ``figures`` are paths by task, relative to the page; ``about`` is what `assemble` writes besides the rows.
    """
    rows = [row for one in finished for row in one.rows]
    names = list(dict.fromkeys(row.task for row in rows))
    where = about["machine"]
    seconds = sum(one.about["training"]["seconds"] for one in finished if one.experiment.method == "qif")
    lines = [
        "# Results",
        "",
        "Made by `qif2hw reproduce" + (" --quick" if about["quick"] else "") + "`; "
        f"the same figures for machines are in [results.json](results.json). Machine: {where['cores']} cores of "
        f"{where['processor']}; the trainings of all QIF networks took {seconds / 60:.0f} minutes by "
        "the clock, many of them beside other programs.",
        "",
        "Errors are relative L2 errors on the test set, in percent (for the operator, the mean over functions); with",
        "several seeds, their mean and range. *Engine* is the integer machine that hardware must be: "
        f"{WEIGHT_BITS}-bit weights, 24-bit state, at most {STEPS} machine steps. *Lava* is the same machine on Lava's "
        "CPU simulator, on a sample of the test set. Nothing here has run on a chip. *Paper* is what",
        "[Wan, Karniadakis and Stinis](https://arxiv.org/abs/2511.06614) report: QIF in float, in their regime.",
        "",
        "*Ordinary*: every output is a real spike inside the trial. *Published*: the trial ends before an output can",
        "spike; outputs are pseudospikes, which hardware computes by the flush. *Fields*: each input is encoded by",
        "Gaussian receptive fields, exponentials that the host computes; baselines get the same. *Rounded in",
        "training*: trained on until the weights lie on the 8-bit grid; elsewhere the compiler rounds them.",
        "",
        *_missing(about),
        *_summary(rows, names),
    ]
    for name in names:
        task = tasks.get(name)
        wrong = "" if task.classes is None else ". Errors are shares of images in a wrong class."
        lines += ["", f"## {name}", "", f"{task.summary}{wrong}", ""]
        lines += _table([row for row in rows if row.task == name])
        for path in figures.get(name, []):
            lines += ["", f"![{path.stem}]({path.as_posix()})"]
    scores = [score for one in finished for score in one.scores]
    for name in dict.fromkeys(score.task for score in scores):
        machines = {
            one.about["training"]["machine"]["processor"]
            for one in finished
            if one.scores and one.experiment.task == name
        }
        lines += ["", f"## {name}", "", f"{IMAGE_TASKS[name].summary} Trained on: {', '.join(sorted(machines))}.", ""]
        lines += _accuracies([score for score in scores if score.task == name])
    return "\n".join(lines) + "\n"


def _accuracies(scores: list[Score]) -> list[str]:
    """The table of a classifier: means and ranges over seeds."""
    groups: dict[tuple[str, int | None, int | None], list[Score]] = defaultdict(list)
    for score in scores:
        groups[score.method, score.weight_bits, score.trained_bits].append(score)
    lines = [
        f"{scores[0].time_steps} time steps, populations {scores[0].network}. *Same class*: as by the float network. "
        "*Retrained*: trained on with weights on the grid; else rounded after the training. *finer-2*: every time step "
        "cut in two, and nothing trained anew.",
        "",
        "| method | weight bits | accuracy, % | same class, % | spikes per image | synaptic operations | images "
        "| seeds |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (method, bits, trained), group in groups.items():
        cells = [
            method,
            "float" if bits is None else f"{bits}{', retrained' if trained else ''}",
            _spread([s.accuracy_percent for s in group], 4),
            _spread([s.same_class_percent for s in group], 4),
            _spread([s.spikes for s in group if s.spikes is not None]),
            _spread([s.synaptic_operations for s in group if s.synaptic_operations is not None]),
            str(group[0].samples),
            str(len(group)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _missing(about: dict[str, Any]) -> list[str]:
    if about["runs"] == about["runs_wanted"]:
        return []
    return [
        f"**{about['runs']} of {about['runs_wanted']} runs are here.** What has no row has not run yet; "
        "`qif2hw reproduce --out docs` goes on.",
        "",
    ]


def _summary(rows: list[Row], names: list[str]) -> list[str]:
    lines = [
        "| task | quantity | paper, QIF float | ours, float | ours, engine | best LIF here | LIF / engine |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name in names:
        for quantity in tasks.get(name).quantities:
            mine = [r for r in rows if (r.task, r.quantity) == (name, quantity)]
            for variant in dict.fromkeys(r.variant for r in mine):
                own = _widths(name, variant)
                shown = [r for r in mine if r.variant == variant]
                shown = [r for r in shown if r.network == own or not r.method.startswith("qif-")]
                lines.append(f"| {', '.join(filter(None, (name, variant)))} | {quantity} | {_summary_of(shown)} |")
    return lines


def _widths(name: str, variant: str) -> str:
    """Sizes of a task's own network, its inputs encoded."""
    task = tasks.get(name)
    if variant.endswith(" fields"):
        task = tasks.with_receptive_fields(task, int(variant.split()[0]))
    return "-".join(map(str, task.sizes))


def _summary_of(rows: list[Row]) -> str:
    """Errors of one quantity: the paper's, ours, and the best of spiking baselines."""
    best = {m: _percents(r for r in rows if (r.method, r.regime) == (m, "ordinary")) for m in _TITLES}
    spiking = [r for r in rows if r.method.startswith("lif-")]
    paper = next((r.paper_percent for r in rows if r.method == "qif-float"), None)
    cells = [_number(paper), _spread(best["qif-float"]), _spread(best["qif-engine"]), "", ""]
    if spiking:
        least = min(spiking, key=lambda r: r.rel_l2_percent)
        cells[3] = f"{least.rel_l2_percent:.3g} ({least.method})"
        if best["qif-engine"]:
            cells[4] = f"{least.rel_l2_percent / statistics.mean(best['qif-engine']):.3g}"
    return " | ".join(cells)


def _table(rows: list[Row]) -> list[str]:
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.method, ", ".join(filter(None, (row.regime, row.variant))), row.network].append(row)
    head = ["method", "regime", "network", *(f"{q}, %" for q in quantities), *(f"{q}, paper" for q in quantities)]
    lines = ["| " + " | ".join([*head, "RMSE", "seeds"]) + " |", "|---|---|---|" + "---:|" * (2 * len(quantities) + 2)]
    for (method, regime, network), group in groups.items():
        by = {q: [r for r in group if r.quantity == q] for q in quantities}
        cells = [_TITLES.get(method, method), regime, network]
        cells += [_spread(_percents(by[q])) for q in quantities]
        cells += [_number(by[q][0].paper_percent) if by[q] else "" for q in quantities]
        cells += [f"{statistics.mean(r.rmse for r in group):.2e}", str(len({r.seed for r in group}))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _percents(rows: Iterable[Row]) -> list[float]:
    return [row.rel_l2_percent for row in rows]


def _spread(values: list[float], digits: int = 3) -> str:
    if not values:
        return ""
    mean, *ends = (f"{v:.{digits}g}" for v in (statistics.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({ends[0]} to {ends[1]})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
