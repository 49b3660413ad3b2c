"""The search: a front that is one, the same however it is run, and resumable."""

import json
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ordinary

import qif2hw.api
from qif2hw import engine, reference
from qif2hw.compiler import CompileOptions, compile_network
from qif2hw.compiler.error_measures import by_size
from qif2hw.compiler.search import (
    Found,
    Outcome,
    SearchOptions,
    SearchProblem,
    Setting,
    evaluate,
    pareto,
    run_bulk,
    search,
    study,
)
from qif2hw.compiler.search.setting import compile_setting
from qif2hw.errors import InputError
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.ir.host_part.receptive_fields import ReceptiveFields
from qif2hw.workers import workers

pytest.importorskip("optuna")

NETWORK = ordinary((1, 6, 2), 1)
ADAPT = "adapt-rounding{bits=8/6},"
SMALL = SearchOptions(trials=8, batch=4, rounding="nearest", samples=32, check=300)


def run(folder: Path, options: SearchOptions = SMALL, **more: Any) -> tuple[list[Found], list[Found]]:
    with workers("local", more.pop("jobs", 1)) as pool:
        return search(NETWORK, folder, options, pool, **more)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_front_is_one(points: list[tuple[int, int, int]]) -> None:
    front = pareto(points, lambda p: p)
    assert len(set(front)) == len(front)
    for p in points:
        beaten = any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)
        assert (p in front) != beaten


def test_search_writes_a_front_that_compiles(tmp_path: Path) -> None:
    front, every = run(tmp_path)
    assert 1 <= len(front) <= len(every) <= 8
    written = json.loads((tmp_path / "front.json").read_text())
    assert written["tried"] == 8
    assert [f["error"] for f in written["front"]] == [f.outcome.error for f in front]
    assert front[0].outcome.error == min(f.outcome.error for f in every)
    assert front[0].unseen == pytest.approx(front[0].outcome.error, rel=1)
    best = written["front"][0]
    compiled = compile_network(NETWORK, CompileOptions(rounding="nearest", **best["options"]))
    assert compiled.program.steps == best["steps"]
    picture = xml.etree.ElementTree.fromstring((tmp_path / "front.svg").read_text())
    assert len(picture.findall(".//{*}circle")) == 3 * len(every)
    assert "memory" in [t.text for t in picture.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path: Path, sampler: str) -> None:
    class Interrupt(Exception):
        pass

    def stop(done: int, _: int) -> None:
        if done > 5:
            raise Interrupt

    options = SearchOptions(**{**vars(SMALL), "sampler": sampler})
    whole = run(tmp_path / "whole", options)
    with pytest.raises(Interrupt):
        run(tmp_path / "parts", options, progress=stop)
    assert run(tmp_path / "parts", options, resume=True) == whole
    assert (tmp_path / "parts/front.json").read_bytes() == (tmp_path / "whole/front.json").read_bytes()


@pytest.mark.parametrize("told", [0, 1, 3])
def test_a_search_that_is_killed_in_its_first_batch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    """Before anything of it is noted, and amid of it: what the search starts from is not lost."""
    whole, tell = run(tmp_path / "whole"), study._tell

    def killed(of: Any, trials: list[Any], outcomes: list[Any], objectives: tuple[str, ...]) -> None:
        tell(of, trials[:told], outcomes[:told], objectives)
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "_tell", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts")
    monkeypatch.undo()
    assert run(tmp_path / "parts", resume=True) == whole
    assert (tmp_path / "parts/front.json").read_bytes() == (tmp_path / "whole/front.json").read_bytes()


def test_two_processes_find_the_same(tmp_path: Path) -> None:
    assert run(tmp_path / "two", jobs=2) == run(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_finds_the_same(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, protocol="tcp", dashboard_address=":0"
    ) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://")
        with workers("dask", scheduler=address) as pool:
            found = search(NETWORK, tmp_path / "dask", SMALL, pool)
            program = compile_network(NETWORK, CompileOptions(rounding="nearest", steps=64)).program
            x = np.random.default_rng(0).random((1000, 1))
            np.testing.assert_array_equal(run_bulk(program, x, pool), engine.run(program, x).y)
    assert found == run(tmp_path / "here")


def test_settings_cost_what_they_should() -> None:
    x = np.linspace(0, 1, 20)[:, None]
    problem = SearchProblem(NETWORK, "loihi2", "nearest", x, engine.run(compile_network(NETWORK).program, x).y)
    fine = evaluate(problem, Setting((8, 8), 7, 256, 8, "cotangent"))
    assert fine.error < 0.02
    for name, setting in {
        "memory": Setting((4, 8), 7, 256, 8, "cotangent"),
        "steps": Setting((8, 8), 7, 128, 8, "cotangent"),
    }.items():
        assert getattr(evaluate(problem, setting), name) < getattr(fine, name)
    assert evaluate(problem, Setting((8, 8), 7, 256, 8, "plane")).memory < fine.memory
    # One input to 6 neurons; their spikes, and one flush message each, to 2. A spike with its square is two messages.
    for steps, each in ((512, 1), (256, 2)):
        setting = Setting((8, 8), 7, steps, 8, "cotangent")
        run = engine.run(compile_setting(problem, setting), x)
        expected = 6 * each + 2 * (len(run.step_spikes["hidden1"]) / 20 * each + 6)
        assert evaluate(problem, setting).operations == pytest.approx(expected)
    refused = evaluate(problem, Setting((8, 9), 7, 256, 8, "cotangent"))
    assert "weight bits = 8/9" in refused.refused
    assert refused.values() == Outcome().values() == (np.inf,) * 4


@pytest.mark.parametrize("fields", [0, 3])
@pytest.mark.parametrize("rounding", ["nearest", "adapt"])
def test_a_host_with_ranges_of_its_own(rounding: str, fields: int) -> None:
    """A setting is what `compile` makes of it, in the user's units, whatever the host computes."""
    own = ReceptiveFields(fields) if fields else None
    host = Host((Input("a", -4.0, -1.0, fields=own),), (Output("y"),))
    network = replace(ordinary((fields or 1, 6, 2), 1), host=host)
    x = network.unscaled(np.linspace(0, 1, 80)[:, None])
    assert x.min() < 0
    problem = SearchProblem(network, "loihi2", rounding, x, reference.run(network, x).y)
    setting = Setting((8, 6), 7, 128, 8, "cotangent")
    passes = f"time-grid{{steps=128 lateness_bits=8}},weights{{bits=8/6}},{ADAPT * (rounding == 'adapt')}"
    passes += "ranges,tables{table_bits=7 form=cotangent},lower,registers"
    program = compile_network(network, CompileOptions(passes=passes), x).program
    assert compile_setting(problem, setting) == program
    assert program.host == host
    assert evaluate(problem, setting).error == by_size(problem.y)(engine.run(program, x).y) < 0.1


@pytest.mark.parametrize("foreign", [False, True])
def test_a_search_that_is_refused_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: bool
) -> None:
    """Neither where a worker refuses nor where nothing can be compiled; what is the user's stays."""
    if foreign:
        (tmp_path / "own.txt").write_text("mine")

    def refuse(*_: Any) -> Outcome:
        raise InputError("no such input")

    for outcome, message in ((refuse, "no such input"), (nothing, "none of 2 settings can be compiled")):
        monkeypatch.setattr(study, "evaluate", outcome)
        for folder in (tmp_path, tmp_path / "new" / "folder"):
            with pytest.raises(InputError, match=message):
                run(folder, SearchOptions(**{**vars(SMALL), "trials": 2}))
        assert [path.name for path in tmp_path.iterdir()] == ["own.txt"] * foreign


def nothing(*_: Any) -> Outcome:
    return Outcome(refused="too large")


def test_latency_and_energy_are_objectives(tmp_path: Path) -> None:
    aims = ("error", "latency", "energy")
    options = SearchOptions(**{**vars(SMALL), "trials": 6, "objectives": aims})
    front, every = run(tmp_path / "costs", options)
    chosen = pareto(every, lambda f: f.outcome.values(aims))
    assert [f.setting for f in front] == [f.setting for f in sorted(chosen, key=lambda f: f.outcome.values(aims))]
    written = json.loads((tmp_path / "costs/front.json").read_text())
    assert written["objectives"] == [*aims]
    assert [t["latency"] for t in written["front"]] == [f.outcome.latency for f in front]
    # Fewer steps take less time: the fastest of the front has the fewest steps.
    fastest = min(front, key=lambda f: f.outcome.latency)
    assert fastest.outcome.steps == min(f.outcome.steps for f in every)
    best = written["front"][0]
    bundle = qif2hw.compile(NETWORK, rounding="nearest", **best["options"])
    found = qif2hw.api.estimate(bundle)
    assert found.bracket is not None
    assert (best["latency"], best["energy"]) == pytest.approx((found.bracket.latency_s[1], found.bracket.rails_j[1]))
    assert run(tmp_path / "costs", options, resume=True) == (front, every)
    with pytest.raises(InputError, match="with another objectives"):
        run(tmp_path / "costs", SMALL, resume=True)
    with pytest.raises(InputError, match="target 'unconstrained': nothing is published about its latency and energy"):
        run(tmp_path / "none", SearchOptions(**{**vars(options), "target": "unconstrained"}))
    for wrong in (("error",), ("error", "error"), ("error", "price")):
        with pytest.raises(InputError, match="two or more of error, memory, steps, operations, latency, energy"):
            SearchOptions(objectives=wrong)


def test_wrong_folders_and_options(tmp_path: Path) -> None:
    run(tmp_path, SearchOptions(**{**vars(SMALL), "trials": 2}))
    with pytest.raises(InputError, match="holds a search already: resume it"):
        run(tmp_path)
    with pytest.raises(InputError, match="with another rounding"):
        run(tmp_path, SearchOptions(**{**vars(SMALL), "rounding": "adapt"}), resume=True)
    with workers() as pool, pytest.raises(InputError, match="with another network"):
        search(ordinary((1, 7, 2)), tmp_path, SMALL, pool, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/journal.log").write_text("no journal\n")
    with pytest.raises(InputError, match="is not the journal of a search"):
        run(tmp_path / "other", resume=True)
    with pytest.raises(InputError, match="trials = 0"):
        SearchOptions(trials=0)
    with pytest.raises(InputError, match="sampler = grid"):
        SearchOptions(sampler="grid")
