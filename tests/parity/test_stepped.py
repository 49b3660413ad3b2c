"""Parity of networks with a stepped clock: every spike, every class, block by block; and the page."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import ordinary, stepped_images
from parity.test_report import Page

import qif2hw
from qif2hw import backends as registry
from qif2hw.backends import Backend, Execution
from qif2hw.bundle import SteppedBundle
from qif2hw.engine import stepped as engine
from qif2hw.errors import InputError
from qif2hw.ir.stepped import SteppedRun
from qif2hw.parity import Bounds, SteppedBounds, SteppedReport, check, html, render, stepped
from qif2hw.parity.drift import drift

X = np.random.default_rng(1).normal(0.3, 1, (60, 2, 8, 8))
LABELS = np.random.default_rng(2).integers(0, 5, 60)
WIDE = SteppedBounds(classes=0.2, spikes=0.2)


def other(change: Any = None, exact: bool = True) -> Backend:
    """The specification under the name of another backend; ``change`` edits its run."""

    def run(program: Any, x: Any) -> SteppedRun:
        found = replace(engine.run(program, x, machine="spec"), backend="lava")
        return found if change is None else change(found)

    def refuse(*_: Any) -> Any:
        raise AssertionError

    return Backend("lava", "the specification", "program", refuse, exact, stepped=Execution(run))


@pytest.fixture(scope="module")
def bundle() -> SteppedBundle:
    return qif2hw.compile(stepped_images(), calibration=X)


@pytest.fixture(scope="module")
def report(bundle: SteppedBundle) -> SteppedReport:
    return check(bundle, X, backends=("reference", "engine", other()), truth=LABELS, bounds=WIDE)


def test_drift_counts_the_spikes_of_both_bundles(bundle: SteppedBundle) -> None:
    other = qif2hw.compile(bundle.network, calibration=X, weight_bits=4)
    found, runs = drift(bundle, other, X), [one.run(X) for one in (bundle, other)]
    assert found.same_network
    assert not found.same_program
    for name, counts in found.spikes.items():
        assert counts == tuple(pytest.approx(run.spikes[name].sum() / len(X)) for run in runs)


def test_numbers_are_those_of_the_runs(bundle: SteppedBundle, report: SteppedReport) -> None:
    exact, run = bundle.run(X, "reference"), bundle.run(X)
    assert report.ok
    assert report.identical == ("lava",)
    for name, fired in exact.spikes.items():
        found, odd = report.changes["engine"][name], run.spikes[name] != fired
        assert found.spikes.tolist() == fired.sum(axis=(0, 2)).tolist()
        assert found.missing.tolist() == (odd & fired).sum(axis=(0, 2)).tolist()
        assert found.changed == odd.sum()
        assert found.share == odd.sum() / fired.sum()
    moved = run.label != exact.label
    assert 0 < moved.sum() < 12
    facts = json.loads(report.to_json())
    own = facts["changes"][0]
    assert (own["backend"], own["samples_in_another_class"]) == ("engine", moved.sum())
    assert own["class_agreement"] == pytest.approx(1 - moved.mean())
    assert facts["accuracy"]["engine"] == pytest.approx((run.label == LABELS).mean())
    assert facts["spikes_per_sample"]["lava"]["first"] == pytest.approx(run.spikes["first"].sum() / 60)
    assert facts["time_steps"] == 4
    measured = {(v["backend"], v["quantity"]): v["measured"] for v in facts["verdicts"]}
    assert measured["engine", "samples in another class"] == pytest.approx(moved.mean())
    odd_, all_ = (sum(int(f(n)) for n in exact.spikes) for f in (
        lambda n: (run.spikes[n] != exact.spikes[n]).sum(), lambda n: exact.spikes[n].sum(),
    ))  # fmt: skip
    assert measured["engine", "changed spikes, all populations"] == pytest.approx(odd_ / all_)


def test_causes_add_up_to_what_was_compared(bundle: SteppedBundle, report: SteppedReport) -> None:
    facts = json.loads(report.to_json())
    budget, own = facts["budget"], facts["changes"][0]
    assert budget["samples"] == 60
    assert list(budget["causes"]) == ["weights", "inputs", "arithmetic"]
    assert budget["total"]["all_spikes"] == pytest.approx(own["all_populations"]["share"])
    assert budget["total"]["classes"] == pytest.approx(1 - own["class_agreement"])
    assert budget["accuracy"]["float"] == pytest.approx(facts["accuracy"]["reference"])
    assert budget["accuracy"]["arithmetic"] == pytest.approx(facts["accuracy"]["engine"])
    page = Page(render(report))
    for words in ("Where the error comes from", "integer inputs", "all together", "accuracy after it"):
        assert words in page.words, words
    assert html.percent(budget["total"]["classes"]) in page.cells
    assert html.percent(budget["total"]["all_spikes"]) in page.cells
    without = check(bundle, X[:5], backends=("engine", other()))
    assert without.budget is None
    assert "Where the error comes from" not in Page(render(without)).words


def test_blocks_change_nothing(bundle: SteppedBundle, report: SteppedReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "ENTRIES", 9 * 4 * sum(p.size for p in bundle.program.populations))
    calls: list[int] = []
    counted = other(lambda run: (calls.append(len(run.y)), run)[1])
    again = check(bundle, X, backends=("reference", "engine", counted), truth=LABELS, bounds=WIDE)
    assert calls == [8] * 7 + [4]
    whole, parts = json.loads(report.to_json()), json.loads(again.to_json())
    del whole["seconds"], parts["seconds"], whole["results"], parts["results"]
    assert whole == parts


def test_one_spike_more_is_found_and_named(bundle: SteppedBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "ENTRIES", 25 * 4 * sum(p.size for p in bundle.program.populations))
    expected = bundle.run(X).spikes["second"]
    seen: list[int] = []

    def flip(run: SteppedRun) -> SteppedRun:
        first = sum(seen)
        seen.append(len(run.y))
        spikes = {name: fired.copy() for name, fired in run.spikes.items()}
        if first <= 40 < first + len(run.y):
            spikes["second"][40 - first, 2, 17] ^= True
        return replace(run, spikes=spikes)

    broken = check(bundle, X, backends=("engine", other(flip)))
    assert not broken.ok
    assert broken.identical == ()
    has = "engine" if expected[40, 2, 17] else "lava"
    assert [v.note for v in broken.verdicts] == [f"second[17], sample 40, step 3: a spike on {has} only"]
    assert "a spike on" in Page(render(broken)).words
    off = check(bundle, X, backends=("engine", other(lambda run: replace(run, y=run.y + 1e-9))))
    assert "scores[0], sample 0: result" in off.verdicts[0].note


def test_bounds(bundle: SteppedBundle) -> None:
    tight = check(bundle, X, bounds=SteppedBounds(classes=0.0, spikes=1e-4, result=1e-4))
    assert not tight.ok
    notes = {v.quantity: v.note for v in tight.verdicts}
    assert notes["samples in another class"].startswith(f"{int(tight.changed_class('engine').sum())} of 60 samples")
    assert "most in 'second'" in notes["changed spikes, all populations"]
    assert [v.ok for v in tight.verdicts] == [False] * 3
    with pytest.raises(InputError, match="bound classes = -1"):
        SteppedBounds(classes=-1)


def test_wrong_calls_are_refused_before_anything_runs(bundle: SteppedBundle) -> None:
    with pytest.raises(InputError, match="inputs have shape"):
        check(bundle, X[:, :1])
    with pytest.raises(
        InputError, match=r"labels \(59,\) of type int64: whole numbers or names of classes, \(60,\), are"
    ):
        check(bundle, X, truth=LABELS[:-1])
    with pytest.raises(InputError, match="labels from 0 to 5: the network has classes 0 to 4"):
        check(bundle, X, truth=LABELS + (LABELS == 4))
    with pytest.raises(InputError, match="none of the backends reference, engine has an option 'mode'"):
        check(bundle, X, mode="fused")
    with pytest.raises(InputError, match="has SteppedBounds"):
        check(bundle, X, bounds=Bounds())  # type: ignore[call-overload]
    with pytest.raises(InputError, match="has Bounds"):
        check(qif2hw.compile(ordinary((1, 4, 2)), rounding="nearest"), X, bounds=SteppedBounds())  # type: ignore[call-overload]
    with pytest.raises(InputError, match="does not run networks with a stepped clock"):
        check(bundle, X, backends=("engine", Backend("old", "", "program", lambda *_: None)))  # type: ignore[arg-type]
    lacking = other(lambda run: replace(run, spikes={"first": run.spikes["first"]}))
    with pytest.raises(InputError, match="the run on lava has no spikes of second"):
        check(bundle, X, backends=("engine", lacking))
    assert registry.get("engine").stepped is not None


def test_page(report: SteppedReport, bundle: SteppedBundle) -> None:
    page = Page(render(report, title="Parity of m.qif", facts={"weight bits": "8"}))
    assert not {"script", "link", "img"} & set(page.tags)
    for words in ("parity holds", "Classes", "Spikes by population", "6 × 8 × 8", "engine = lava (bit for bit)",
                  "identical", "One sample", "weight bits 8"):  # fmt: skip
        assert words in page.words, words
    assert any(cell == f"{report.changes['engine']['first'].extra.sum():,}" for cell in page.cells)
    for one in np.unique(LABELS):
        here = one == LABELS
        right = [html.percent(float(np.mean(report.runs[n].label[here] == one))) for n in ("reference", "engine")]
        moved = f"{report.changed_class('engine')[here].sum():,}"
        cells = [report.class_names[one], f"{here.sum():,}", *right, moved]
        assert any(page.cells[k : k + 5] == cells for k in range(len(page.cells))), cells
    shown = Page(render(report, sample=3)).words
    assert f"Sample 3. Its class is {LABELS[3]}." in shown
    with pytest.raises(InputError, match="sample 60 cannot be drawn"):
        render(report, sample=60)
    plain = check(bundle, X[:3], backends=("engine", other()))
    assert "Classes" not in Page(render(plain)).words
