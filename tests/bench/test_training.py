import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from click.testing import CliRunner

from qif2hw.bench.peers import jaxsnn_qif, snntorch_lif
from qif2hw.bench.scaling import _point
from qif2hw.bench.training import WORKLOADS, Workload, bench, workloads
from qif2hw.errors import InputError
from qif2hw.nn import QIFNetwork
from qif2hw_cli.main import cli


def test_bench_measures_what_it_says() -> None:
    seen: list[str] = []
    result = bench(
        [Workload((1, 4, 2), 10)], peers=True, seconds=0.01, progress=lambda done, total, what: seen.append(what)
    )
    (row,) = json.loads(json.dumps(result))["rows"]
    assert row["network"] == "1-4-2"
    assert row["updates"] == 10 * 4 + 40 * 2
    assert row["updates_per_s_forward"] == pytest.approx(1e3 * row["updates"] / row["ms_forward"])
    assert 0 < row["fraction_of_ceiling"] < 1
    forward, backward = row["kernels"]
    assert (forward["kernel"], backward["kernel"]) == ("forward", "backward")
    # Gradients to the inputs' times are not asked for: that spares the first layer's changes of length.
    assert (forward["flops"], backward["flops"]) == (8 * 120, 11 * 120 + 6 * 80)
    for kernel in row["kernels"]:
        assert 0 < kernel["fraction"] < 1
        assert kernel["ms_least"] <= kernel["ms"] < row["ms_forward_backward"]
        assert kernel["roof"] <= result["machine"]["ceiling_flops"]["float64"]
    for name, (low, high) in row["ms_quartiles"].items():
        assert row["ms_least"][name] <= low <= row[f"ms_{name}"] <= high
    assert row["speedup"]["eager torch"] > 1
    assert set(row["speedup"]) | set(row["absent"]) >= {"jaxsnn QIF", "snntorch LIF, 128 steps"}
    assert result["machine"]["ceiling_flops"]["float64"] > 1e8
    assert seen == ["1-4-2, batch 10, float64"]


def test_workloads_from_text() -> None:
    assert workloads() == WORKLOADS
    assert workloads("1-4-2, 2-3-2", 7) == (Workload((1, 4, 2), 7), Workload((2, 3, 2), 7))
    assert {w.dtype for w in workloads(dtype="float32")} == {"float32"}
    with pytest.raises(InputError, match="dashes"):
        workloads("1-4-x")
    with pytest.raises(InputError, match="batch"):
        bench([Workload((1, 4, 2), 0)])


def test_command() -> None:
    arguments = ["bench", "train", "--networks", "1-4-2", "--batch", "5", "--quick", "--no-peers"]
    printed = CliRunner().invoke(cli, [*arguments, "--json"])
    assert printed.exit_code == 0
    result = json.loads(printed.stdout)
    assert {"machine", "rows"} <= set(result["detail"]["train"])
    assert result["figures"]["train: 1-4-2, batch 5, float64, forward"]["value"] > 0
    text = CliRunner().invoke(cli, arguments).stdout
    assert "1-4-2" in text
    assert "threads" in text


@pytest.mark.skipif(importlib.util.find_spec("jaxsnn") is None, reason="jaxsnn is not installed")
def test_jaxsnn_runs_the_same_network() -> None:
    network = QIFNetwork((1, 8, 8, 2))
    x = torch.rand((5, 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (_, first), grads = jaxsnn_qif(network, x)()
    run = network.run(x)
    run.y.square().sum().backward()
    assert torch.allclose(torch.tensor(first.tolist()), run.first, rtol=0, atol=1e-12)
    for k, layer in enumerate(network.layers):
        assert torch.allclose(torch.tensor(grads[f"syn{k}"].tolist()), layer.weight.grad.T, rtol=0, atol=1e-12)


@pytest.mark.skipif(importlib.util.find_spec("snntorch") is None, reason="snntorch is not installed")
def test_snntorch_takes_a_step() -> None:
    snntorch_lif((1, 4, 2), torch.rand(3, 1), 8)()


def test_scaling_in_numbers_and_as_a_figure(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["bench", "scaling", "--most", "5e4", "--quick", "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0
    measured = json.loads(result.stdout)["detail"]["scaling"]
    assert {p["series"] for p in measured["points"]} == {"samples", "width"}
    assert all(p["updates"] <= 5e4 and p["bytes"] > 0 for p in measured["points"])
    root = ElementTree.parse(tmp_path / "scaling.svg").getroot()
    assert len(root.findall(".//{*}circle")) == len(measured["points"]) + 2
    assert "prefers-color-scheme: dark" in (tmp_path / "scaling.svg").read_text()
    assert "| 64 | 3 |" in (tmp_path / "scaling.md").read_text()


def test_memory_grows_with_the_batch_and_not_with_a_trajectory() -> None:
    # Batches on all threads, with as many partial sums of gradients: those do not grow with the batch from here on.
    small, large = (_point("samples", 64, batch, 0.0, torch.float64) for batch in (1000, 2000))
    per_sample = (large.bytes - small.bytes) / 1000
    assert per_sample < 0.5 * 64 * 64 * 8, "a stored trajectory would take more"
    assert large.bytes < 2.2 * small.bytes
