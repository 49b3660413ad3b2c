"""The page: complete, self-contained, and honest."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networks
import numpy as np
import pytest
from oracles.nets import random_layers
from parity.conftest import Case, compiled, other_engine, prepared

from qif2hw import svg
from qif2hw.errors import InputError
from qif2hw.ir import Program, Spikes
from qif2hw.ir.host_part.host import Host, Input, Output
from qif2hw.parity import Bounds, ParityReport, check, figures, render, sections, write


class Page(HTMLParser):
    """Checks that tags are balanced; collects text, attributes and table cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self.words = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data
        if "td" in self.open:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def one_to_one() -> tuple[Program, ParityReport]:
    network = random_layers((1, 8, 8, 2), 4)
    program = compiled(network)
    x = np.linspace(0, 1, 60)[:, None]
    backends = ("reference", "engine", other_engine())
    return program, check(program, x, source=network, truth=x**2, backends=backends)


def test_needs_nothing_from_elsewhere(one_to_one: tuple[Program, ParityReport]) -> None:
    page = Page(render(one_to_one[1]))
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "href", "onload", "style"} & {name for name, _ in page.attributes}
    text = render(one_to_one[1])
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text


def test_drawings_are_well_formed(one_to_one: tuple[Program, ParityReport]) -> None:
    text = render(one_to_one[1])
    drawings = text.split("<svg")[1:]
    assert len(drawings) > 8
    for drawing in drawings:
        root = ET.fromstring("<svg" + drawing.split("</svg>")[0] + "</svg>")
        for node in root.iter():
            for name, value in node.attrib.items():
                if name not in ("class", "aria-label", "role", "text-anchor", "preserveAspectRatio", "aria-hidden"):
                    assert np.isfinite([float(v) for v in value.replace(",", " ").split()]).all(), (name, value)


def test_says_what_was_found(one_to_one: tuple[Program, ParityReport]) -> None:
    report = one_to_one[1]
    stages = {"train": 12.5, "compile": 0.25}
    page = Page(render(report, title="A parabola", stages=stages, facts={"weights": "8 bits"}))
    for wanted in ("A parabola", "1–8–8–2", "60 samples", "weights 8 bits", "parity holds"):
        assert wanted in page.words
    assert {"12.5 s", "250 ms", "run: lava", "engine = lava (bit for bit)"} <= set(page.cells)
    for name in ("float", "engine", "lava"):
        result = report.result(name, "truth")
        assert result is not None
        assert f"{svg.number(100 * result.relative)} %" in page.cells
    for row in report.timing[0].populations:
        assert row.population in page.cells
        assert svg.number(row.rms / row.delta) in page.cells
    spikes = sum(p.spikes for p in report.timing[0].populations)
    assert f"{spikes:,} of {spikes:,}" in page.cells


def test_each_line_of_the_summary_has_a_cell_for_each_column(one_to_one: tuple[Program, ParityReport]) -> None:
    table = render(one_to_one[1]).split("<h2>Summary</h2>")[1].split("</table>")[0]
    head, *rows = table.split("<tr>")[1:]
    assert "float: weights as trained" in table
    assert len(rows) == 3
    assert {row.count("<td") for row in rows} == {head.count("<th>")}


def test_one_input_and_one_result_have_a_curve(one_to_one: tuple[Program, ParityReport]) -> None:
    report = one_to_one[1]
    assert 'aria-label="Result of engine and the truth over the input"' in sections.results(report)
    two = sections.results(replace(report, x=np.repeat(report.x, 2, axis=1)))
    assert 'aria-label="Result of' not in two
    assert 'aria-label="Difference of engine from the truth"' in two


def test_bars_of_values_are_as_high_as_these_and_lie_apart() -> None:
    drawing = figures.spark(np.array([0.25, 0.0, 0.5, 0.125]), "four", lambda i, v: f"{i} is {v}")
    bars = list(ET.fromstring(drawing).iter("rect"))
    x, height, width = (np.array([float(bar.get(name) or 0) for bar in bars]) for name in ("x", "height", "width"))
    np.testing.assert_allclose(height, [11.5, 23.0, 5.75])
    assert (x[:-1] + width[:-1] < x[1:]).all()
    assert "2 is 0.5" in drawing
    assert figures.spark(np.zeros(4), "four", lambda i, v: "") == ""


def test_is_a_pure_function(one_to_one: tuple[Program, ParityReport]) -> None:
    assert render(one_to_one[1]) == render(one_to_one[1])


def test_all_spikes_of_the_sample_are_drawn(one_to_one: tuple[Program, ParityReport]) -> None:
    report = one_to_one[1]
    text = render(report, sample=17)
    expected = sum(int((s.sample == 17).sum()) for s in report.runs["engine"].spikes.values())
    drawing = next(d for d in text.split("<svg")[1:] if 'aria-label="Spikes of sample 17"' in d).split("</svg>")[0]
    assert ">time</text>" in drawing
    # So few neurons as the output has are counted at sight.
    assert drawing.count(">8 neurons</text>") == 2
    assert ">2 neurons</text>" not in drawing
    assert drawing.count('class="dot"') == expected
    assert "furthest off" not in text
    assert "furthest off" in render(report)


def test_shows_a_broken_bound_and_a_lost_spike(case: Case) -> None:
    s = case.engine.spikes["output"]
    run = replace(
        case.engine,
        spikes={**case.engine.spikes, "output": Spikes(s.sample[1:], s.neuron[1:], s.time[1:])},
        step_spikes={},
        machine=None,
    )
    report = check(case.program, case.x, backends=("reference", prepared("engine", run)))
    text = render(report, sample=0)
    assert "parity is broken" in text
    assert "1 missing, 0 extra" in text
    assert text.count('class="lost"') == 1
    assert "missing spike, reference" in text
    # No steps, hence nothing to enlarge.
    assert "steps enlarged" not in text


@pytest.mark.parametrize("with_source", [True, False])
def test_graphs_with_several_inputs_and_pseudospikes(with_source: bool) -> None:
    network = networks.published((2, 6, 6, 4))
    program = compiled(network)
    x = np.random.default_rng(0).uniform(size=(20, 2))
    text = render(check(program, x, source=network if with_source else None))
    Page(text)
    assert f"engine minus {'float' if with_source else 'reference'}" in text
    assert text.count('class="pseudo"') >= 4


def test_without_the_reference(case: Case) -> None:
    report = check(case.program, case.x, backends=("engine", other_engine()))
    page = Page(render(report))
    assert "identical" in page.words
    assert "Spikes by population" not in page.words


def test_text_is_escaped(one_to_one: tuple[Program, ParityReport]) -> None:
    nasty = '<script>alert("x")</script>'
    text = render(one_to_one[1], title=nasty, facts={nasty: nasty}, stages={nasty: 1.0})
    assert "<script" not in text
    assert "alert(" in Page(text).words


def test_refuses_a_sample_that_is_not_there(one_to_one: tuple[Program, ParityReport]) -> None:
    for sample in (60, -1):
        with pytest.raises(InputError, match=f"sample {sample} cannot be drawn: there are 60"):
            render(one_to_one[1], sample=sample)


def test_is_written_whole_or_not_at_all(tmp_path: Path, one_to_one: tuple[Program, ParityReport]) -> None:
    page = render(one_to_one[1])
    write(tmp_path / "report.html", page)
    assert (tmp_path / "report.html").read_text("utf-8") == page
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="no folder"):
        write(tmp_path / "nowhere" / "report.html", page)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.12345, "0.123"),
        (-2.0, "−2"),
        (1.5e-7, "1.5·10⁻⁷"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (3, "3"),
    ],
)
def test_numbers_to_be_read(value: float, shown: str) -> None:
    assert svg.number(value) == shown


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.013, 0.02), (5.0, 5.001), (-1e5, 3e7)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = svg.Scale(low, high, 0.0, 100.0).ticks(6)
    assert 3 <= len(ticks) <= 8
    assert low - 1e-9 * (high - low) <= ticks[0] < ticks[-1] <= high + 1e-9 * (high - low)
    steps = np.diff(ticks)
    np.testing.assert_allclose(steps, steps[0])


def test_axes_have_the_names_and_units_of_the_host() -> None:
    host = Host((Input("t", 0.0, 2.0, "s"),), (Output("u", "m"), Output("v")))
    report: Any = SimpleNamespace(program=SimpleNamespace(host=host))
    assert figures._axes(report) == ("t (s)", "u (m)")


def test_certificates_have_a_section(case: Case) -> None:
    report = check(case.program, case.x)
    assert report.certified is not None
    numbers = report.certified.first.to_dict(report.delta)
    page = Page(render(report))
    assert "Certificates" in page.words
    assert "the sum of its defects" in page.words
    assert f"{numbers['spikes']:,}" in page.cells
    assert svg.number(numbers["bound_delta"]["median"]) in page.cells
    without = check(case.program, case.x, bounds=Bounds(certified=None))
    assert without.certified is None
    assert "the sum of its defects" not in Page(render(without)).words
