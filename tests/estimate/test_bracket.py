"""The bracket against the published figures and its own formula; rates and their sources."""

import math
from pathlib import Path

import numpy as np
import pytest

from qif2hw import api, estimate, zoo
from qif2hw.errors import InputError
from qif2hw.estimate import bracket, load_rates, rates_for
from qif2hw.estimate.published import table
from qif2hw.estimate.rates import NEEDED, STATUS

ROOT = Path(__file__).parents[2]
RATES = load_rates("loihi2")
SHIPPED = (ROOT / "qif2hw" / "estimate" / "loihi2.toml").read_text()


def test_every_rate_has_a_source_and_a_status() -> None:
    assert set(RATES.rates) == set(NEEDED)
    for rate in RATES.rates.values():
        assert rate.status in STATUS
        assert len(rate.source) > 20
    assert {rate.status for rate in RATES.rates.values()} == set(STATUS)
    assert RATES["neuron_low"] == pytest.approx((8.14e-6 - RATES["step"]) / 528, rel=0.01)
    assert RATES["neuron_high"] == pytest.approx(4 * RATES["neuron_low"])


@pytest.mark.parametrize(
    ("steps", "neurons", "latency", "rails", "board"),
    [
        (515, 32, (1.1e-3, 1.7e-3), (0.28e-3, 1.4e-3), (2.0e-3, 3.1e-3)),
        (515, 64, (1.3e-3, 2.5e-3), None, None),
        (131, 64, (0.33e-3, 0.63e-3), None, None),
    ],
)
def test_the_bracket_of_the_cost_model(
    steps: int,
    neurons: int,
    latency: tuple[float, float],
    rails: tuple[float, float] | None,
    board: tuple[float, float] | None,
) -> None:
    found = bracket(RATES, steps, neurons)
    for ends, expected in ((found.latency_s, latency), (found.rails_j, rails), (found.board_j, board)):
        assert expected is None or ends == pytest.approx(expected, rel=0.03)


def test_the_boundaries_hold_each_other() -> None:
    found = bracket(RATES, 500, 40)
    assert found.dynamic_j[0] < found.rails_j[0] < found.board_j[0]
    assert found.dynamic_j[1] < found.rails_j[1] < found.board_j[1]
    # What is not dynamic is static power times time.
    for k in (0, 1):
        assert found.rails_j[k] - found.dynamic_j[k] == pytest.approx(RATES["static"] * found.latency_s[k])
    four = bracket(RATES, 500, 40, in_flight=4)
    assert four.latency_s == found.latency_s
    # Four samples share the static power, and nothing else.
    assert four.dynamic_j == found.dynamic_j
    for name in ("rails_j", "board_j"):
        static = np.subtract(getattr(found, name), found.dynamic_j)
        assert getattr(four, name) == pytest.approx(static / 4 + found.dynamic_j)
    assert four.samples_per_s == pytest.approx([4 / found.latency_s[1], 4 / found.latency_s[0]])
    assert bracket(RATES, 500, 40, chips=3).board_j == pytest.approx([3 * e for e in found.board_j])
    with pytest.raises(InputError, match="0 samples in flight"):
        bracket(RATES, 500, 40, in_flight=0)


def test_published_workloads_beside_the_model() -> None:
    beside = {one.workload.name: one for one in (estimate.beside_model(RATES, w) for w in estimate.workloads())}
    qp = beside["QP solver"]
    assert qp.workload.calibration
    assert qp.holds
    assert qp.step_s is not None
    assert qp.step_s[0] <= 8.14e-6 <= qp.step_s[1]
    pilotnet = beside["PilotNet LIF"]
    assert pilotnet.neurons == (3149, 8192)
    assert "nobody published" in pilotnet.verdict
    assert pilotnet.energy_j is not None
    assert pilotnet.energy_j[0] < 1.66e-3 < pilotnet.energy_j[1]
    # The published power and time of PilotNet give its energy.
    assert pytest.approx(1.66e-3, rel=0.01) == 0.679 * 16 * 152.9e-6
    assert beside["Izhikevich neurons, fewest cores"].neurons == (120, 477)
    assert beside["Izhikevich neurons, most cores"].neurons == (9, 35)
    missed = beside["PilotNet SDNN"]
    assert not missed.holds
    assert missed.verdict.startswith("missed: bound by input and output")
    assert [name for name, one in beside.items() if not one.holds] == ["PilotNet SDNN"]
    for name, one in beside.items():
        if one.workload.fullest_core is None and one.neurons is not None:
            low, high = one.neurons
            assert math.ceil(low) == low < high
            # With these the step is inside the bracket, with fewer it is not.
            assert estimate.step_time(RATES, low)[1] >= one.workload.step_s >= estimate.step_time(RATES, high)[0], name
            assert estimate.step_time(RATES, low - 1)[1] < one.workload.step_s, name


def test_a_workload_that_no_core_explains_is_a_miss() -> None:
    slow = estimate.Workload("slow", "", "", step_s=1e-3)
    found = estimate.beside_model(RATES, slow)
    assert not found.holds
    assert found.verdict.startswith("time missed: it would take 20797 neurons on a core, which holds 8192")
    fast = estimate.Workload("fast", "", "", step_s=5e-6, fullest_core=528, steps=1, energy_j=1.0, boundary="rails")
    assert estimate.beside_model(RATES, fast).verdict == "time missed; energy missed"


def test_the_page_has_the_table() -> None:
    assert table(RATES) in (ROOT / "docs" / "estimate.md").read_text(encoding="utf-8")


def test_rates_of_targets() -> None:
    for target in ("loihi2", "loihi2-microcode"):
        found = rates_for(target)
        assert found is not None
        assert found.name == "loihi2"
    assert rates_for("loihi1") is None
    told = api.estimate(zoo.bundle("parabola"), target="loihi1")
    assert told.bracket is None
    assert told.as_json()["latency_s"] is None
    assert told.notes == ("nothing is published about latency and energy of the target 'loihi1': counts alone",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "loihi2"', "", "a text 'name' is needed"),
        ('targets = ["loihi2", "loihi2-microcode"]', "targets = 3", "names of targets are needed"),
        ("[rates.board]", "[rates.bord]", r"\[rates.board\] is missing"),
        (
            'status = "scaled"',
            'status = "guessed"',
            r"\[rates.neuron_high\] needs a 'status': measured, derived, scaled",
        ),
        ("value = 48e-9", "value = 4e-9", "neuron_low is larger than neuron_high"),
        ("value = 48e-9", "value = 0.0", r"\[rates.neuron_high\] needs a number above 0"),
        ('unit = "s"', 'unit = "ms"', r"\[rates.step\] needs the unit 's'"),
        ('source = "', 'sources = "', r"\[rates.step\] needs a 'source'"),
        ("[rates.step]", "[rates.step", "cannot be read"),
    ],
)
def test_wrong_rates_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in SHIPPED
    path.write_text(SHIPPED.replace(old, new, 1))
    with pytest.raises(InputError, match=f"rates '.*mine.toml': .*{message}"):
        load_rates(str(path))
    with pytest.raises(InputError, match="no rates 'moon': known are loihi2"):
        load_rates("moon")


def test_own_rates(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SHIPPED.replace("value = 1.77e-6", "value = 3.54e-6"))
    bundle = zoo.bundle("parabola")
    mine, shipped = api.estimate(bundle, rates=str(path)).bracket, api.estimate(bundle).bracket
    assert mine is not None
    assert shipped is not None
    assert mine.latency_s[0] - shipped.latency_s[0] == pytest.approx(1.77e-6 * bundle.program.steps)
