"""Bit for bit, and where not."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from parity.conftest import Case

from qif2hw.errors import InputError
from qif2hw.ir import MachineOutput, Run, StepSpikes
from qif2hw.parity import first_difference, identical


def changed(run: Run, population: str, spikes: StepSpikes) -> Run:
    return replace(run, backend="lava", step_spikes={**run.step_spikes, population: spikes})


def test_equal_runs(case: Case) -> None:
    assert first_difference(case.program, case.engine, replace(case.engine, backend="lava")) is None


def test_names_a_wrong_lateness(case: Case) -> None:
    s = case.engine.step_spikes["hidden2"]
    lateness = s.lateness.copy()
    lateness[7] += 1
    found = first_difference(case.program, case.engine, changed(case.engine, "hidden2", replace(s, lateness=lateness)))
    assert found is not None
    assert (found.population, found.sample, found.neuron, found.step) == (
        "hidden2",
        s.sample[7],
        s.neuron[7],
        s.step[7],
    )
    assert str(s.lateness[7]) in found.what
    assert f"hidden2[{s.neuron[7]}], sample {s.sample[7]}, step {s.step[7]}: late by" in str(found)


@pytest.mark.parametrize("more", [True, False])
def test_names_a_spike_that_one_lacks(case: Case, more: bool) -> None:
    s = case.engine.step_spikes["hidden1"]
    fewer = StepSpikes(*(np.delete(c, 11) for c in (s.sample, s.neuron, s.step, s.lateness)))
    other = changed(case.engine, "hidden1", fewer)
    found = first_difference(case.program, *((case.engine, other) if more else (other, case.engine)))
    assert found is not None
    assert (found.population, found.sample, found.neuron, found.step) == (
        "hidden1",
        s.sample[11],
        s.neuron[11],
        s.step[11],
    )
    assert "on engine only" in found.what


def test_the_first_of_many_is_the_shallowest_then_earliest(case: Case) -> None:
    run = case.engine
    for name in ("output", "hidden1", "hidden2"):
        s = run.step_spikes[name]
        run = changed(run, name, replace(s, lateness=s.lateness + 1))
    found = first_difference(case.program, case.engine, run)
    assert found is not None
    assert (found.population, found.step) == ("hidden1", case.engine.step_spikes["hidden1"].step.min())


@pytest.mark.parametrize("field", ["step", "lateness", "flush"])
def test_names_a_wrong_output(case: Case, field: str) -> None:
    assert case.engine.machine is not None
    values = getattr(case.engine.machine, field).copy()
    values[5, 1] += 1
    machine = replace(case.engine.machine, **{field: values})
    found = first_difference(case.program, case.engine, replace(case.engine, machine=machine))
    assert found is not None
    assert (found.population, found.sample, found.neuron) == ("output", 5, 1)
    assert field in found.what


def test_a_wrong_type_is_a_difference(case: Case) -> None:
    m = case.engine.machine
    assert m is not None
    machine = MachineOutput(m.step.astype(np.int64), m.lateness, m.flush)  # type: ignore[arg-type]
    found = first_difference(case.program, case.engine, replace(case.engine, machine=machine))
    assert found is not None
    assert (found.population, found.sample, found.neuron, found.step) == ("output", -1, -1, -1)


def test_refuses_what_cannot_be_compared(case: Case) -> None:
    with pytest.raises(InputError, match="reference has no"):
        first_difference(case.program, case.engine, case.reference)
    partial = {k: v for k, v in case.engine.step_spikes.items() if k != "hidden2"}
    with pytest.raises(InputError, match="no step spikes of hidden2"):
        first_difference(case.program, case.engine, replace(case.engine, backend="lava", step_spikes=partial))


def test_populations_that_do_not_spike_are_passed_over() -> None:
    """Wherever they stand among the others."""
    names = {"scores": False, "hidden": True}
    program: Any = SimpleNamespace(populations=[SimpleNamespace(name=n, spiking=s) for n, s in names.items()])
    spikes = np.zeros((2, 3, 4), bool)
    other = spikes.copy()
    other[1, 2, 3] = True
    runs: Any = [SimpleNamespace(spikes={"hidden": s}, backend=b) for s, b in ((spikes, "engine"), (other, "lava"))]
    found = identical.first_stepped_difference(program, *runs)
    assert found is not None
    assert (found.population, found.sample, found.neuron, found.step) == ("hidden", 1, 3, 3)
