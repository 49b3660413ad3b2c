"""``qif2hw demo``: the whole path once, on a small task."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qif2hw_cli.options.common import SEED, example, json_option, threads_option
from qif2hw_cli.options.running import choose_backends
from qif2hw_cli.options.streams import OUTPUT_FOLDER
from qif2hw_cli.output.console import Output
from qif2hw_cli.output.formats import percent, seconds

if TYPE_CHECKING:
    from qif2hw.bundle import Bundle
    from qif2hw.parity import ParityReport
    from qif2hw.train import TrainResult

TASK = "parabola"


@click.command(epilog=example("qif2hw demo", "qif2hw demo --out out/demo"))
@click.option(
    "--out", "folder", default="out/demo", show_default=True, type=OUTPUT_FOLDER, help="Folder of what is made."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the training.")
@click.option(
    "--weight-bits", type=click.IntRange(2, 8), default=8, show_default=True, help="Bits of a weight, 2 to 8."
)
@click.option("--steps", type=int, default=512, show_default=True, help="Most machine steps of a trial.")
@click.option("--training-steps", type=click.IntRange(min=1), help="Instead of the task's own number.")
@threads_option
@json_option
def command(folder: str, seed: int, weight_bits: int, steps: int, training_steps: int | None, as_json: bool) -> None:
    """Train a small task, compile it, run it on engine and Lava, check parity.

    Trains the parabola x^2 twice: with weights on the hardware's grid, and with free weights that are rounded
    afterwards, by the compiler or each to its nearest, to show what training for the hardware is worth. Writes models,
    bundles and report.html (of the first) into the folder. Exit code 1 if parity is broken.
    """
    from qif2hw import bundle as bundles
    from qif2hw.compiler import CompileOptions, passes_for
    from qif2hw.files import check_writable
    from qif2hw.folders import made_folder
    from qif2hw.parity import report as page
    from qif2hw_cli.output.estimate_tables import for_report
    from qif2hw_cli.output.parity_tables import facts, show

    out = Output(as_json)
    grid: dict[str, Any] = {"weight_bits": weight_bits, "steps": steps}
    variants = [
        _Variant("trained for the hardware", "model", weight_bits, grid),
        _Variant("rounded by the compiler", "adapted", None, grid),
        _Variant("rounded to the nearest", "nearest", None, grid | {"rounding": "nearest"}),
    ]
    passes_for(CompileOptions(**grid))
    home = click.get_current_context().with_resource(made_folder(folder))
    report = check_writable(home / "report.html")
    names = choose_backends(out)
    for variant in variants:
        check_writable(home / f"{variant.name}.onnx")
        bundles.check_writable(home / f"{variant.name}.qif")
    for variant in variants:
        variant.make(out, home, seed, training_steps, names, variants[1].training)
    best = variants[0]
    show(out, best.parity)
    out.table(
        f"{TASK}, {weight_bits}-bit weights: relative L2 error on {best.parity.samples} test points",
        ["", *(v.title for v in variants)],
        _rows(variants),
    )
    about = {"task": TASK, "seed": str(seed)} | facts(best.bundle)
    cost, title = for_report(out, best.bundle, best.parity.x), f"qif2hw demo: {TASK}"
    page.write(report, page.render(best.parity, title=title, stages=best.times, facts=about, estimate=cost))
    ok = all(v.parity.ok for v in variants)
    if "lava" not in names:
        out.say("Lava was left out, see above.")
    out.say("Nothing has run on a chip: the program keeps within Loihi 2's published limits (qif2hw inspect).")
    out.say(f"parity {'holds' if ok else 'IS BROKEN'}; report: {report}")
    out.data(
        {
            "ok": ok,
            "out": folder,
            "report": str(report),
            "backends": names,
            "variants": {v.name: v.summary() for v in variants},
        }
    )
    click.get_current_context().exit(0 if ok else 1)


class _Variant:
    """One model on its way from training to parity, and how long each stage took."""

    bundle: "Bundle"
    parity: "ParityReport"

    def __init__(self, title: str, name: str, weight_bits: int | None, options: dict[str, Any]) -> None:
        self.title, self.name, self.weight_bits, self.options = title, name, weight_bits, options
        self.training: TrainResult | None = None
        self.times: dict[str, float] = {}

    def make(
        self,
        out: Output,
        home: Path,
        seed: int,
        training_steps: int | None,
        names: Sequence[str],
        trained: "TrainResult | None",
    ) -> None:
        """Go the whole way; ``trained`` is a network with free weights, if there is one already."""
        from qif2hw import api
        from qif2hw import bundle as bundles
        from qif2hw.ir import onnx_io
        from qif2hw.parity import check
        from qif2hw_cli.training.run import run_training

        model, path = home / f"{self.name}.onnx", home / f"{self.name}.qif"
        if self.weight_bits is None and trained is not None:
            self.training = trained
        else:
            with out.stage(f"train, {self.title}") as stage:
                self.training = run_training(stage, TASK, seed=seed, steps=training_steps, weight_bits=self.weight_bits)
            self.times["train"] = stage.seconds
            bits = "free weights" if self.weight_bits is None else f"{self.weight_bits}-bit weights"
            out.note(f"trained, {bits}: {percent(self.training.error)} on the test set, {seconds(stage.seconds)}")
        onnx_io.save(self.training.network, model)
        with out.stage("compile") as stage:
            self.bundle = api.compile(self.training.network, **self.options)
            self.bundle.save(path)
        self.times["compile"] = stage.seconds
        with out.stage(f"parity of {', '.join(names)}") as stage:
            self.parity = check(
                bundles.load(path),
                self.training.x,
                backends=names,
                truth=self.training.truth,
                progress=stage.update,
            )
        self.times["parity"] = stage.seconds

    def error(self, backend: str) -> float:
        """Relative L2 error of a backend's results against the truth; ``float`` is the trained network."""
        error = self.parity.result(backend, "truth")
        return float("nan") if error is None else error.relative

    def spikes(self) -> dict[str, tuple[int, int]]:
        """Matched spikes and all spikes of the reference, all populations together, by backend."""
        return {
            t.backend: (sum(p.matched for p in t.populations), sum(p.spikes for p in t.populations))
            for t in self.parity.timing
        }

    def summary(self) -> dict[str, Any]:
        """For machines."""
        return {
            "title": self.title,
            "weight_bits_in_training": self.weight_bits,
            "error": {name: self.error(name) for name in self.parity.runs},
            "spikes_matched": {name: list(pair) for name, pair in self.spikes().items()},
            "steps": self.bundle.program.steps,
            "seconds": self.times | {name: run.seconds for name, run in self.parity.runs.items()},
            "ok": self.parity.ok,
        }


def _rows(variants: Sequence[_Variant]) -> list[list[str]]:
    backends = variants[0].parity.titles
    rows = [["float, as trained", *(percent(v.error("float")) for v in variants)]]
    rows += [[f"{b} ({backends[b]})", *(percent(v.error(b)) for v in variants)] for b in backends]
    for backend in variants[0].spikes():
        rows.append([f"spikes matched, {backend}", *("{} of {}".format(*v.spikes()[backend]) for v in variants)])
    rows.append(["machine steps", *(str(v.bundle.program.steps) for v in variants)])
    for stage in variants[0].times:
        rows.append([f"time: {stage}", *(seconds(v.times[stage]) if stage in v.times else "" for v in variants)])
    rows += [[f"  of it {b}", *(seconds(v.parity.runs[b].seconds) for v in variants)] for b in backends]
    return rows
