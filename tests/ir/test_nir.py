"""NIR graphs: what becomes of each node, by the equations that NIR gives; what is refused; QIF networks and back."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch
from networks import branched, listed, ordinary
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from qif2hw import reference, zoo
from qif2hw.discrete import SteppedLIF, SteppedSynaptic
from qif2hw.errors import InputError
from qif2hw.ir import Conv2d, FirstSpike, Network, Projection, onnx_io
from qif2hw.ir import nir as ours
from qif2hw.ir.stepped import SteppedNetwork
from qif2hw.reference import stepped

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)


def full(size: int, value: float) -> Array:
    return np.full(size, value)


def chain(*nodes: Any, shape: tuple[int, ...] = (3,), end: tuple[int, ...] = (1,)) -> Any:
    """Nodes in a row, named by their place."""
    named = {"in": nir.Input(np.array(shape))} | {str(k): node for k, node in enumerate(nodes)}
    named["out"] = nir.Output(np.array(end))
    names = list(named)
    return nir.NIRGraph(named, list(itertools.pairwise(names)), type_check=False)


def run(graph: Any, x: Array, **options: Any) -> tuple[SteppedNetwork, Any]:
    network = ours.import_network(graph, time_steps=x.shape[1], **options)
    assert isinstance(network, SteppedNetwork)
    assert onnx_io.any_from_bytes(onnx_io.to_bytes(network)) == network
    return network, stepped.run(network, x.reshape(*x.shape[:2], -1))


def solved(rate: Callable[[Array, float], list[float]], start: list[float], x: Array, dt: float) -> Array:
    """States at the end of each step of an equation whose input is constant in a step, (steps, states)."""
    state, found = np.array(start), []
    for value in x:
        one = solve_ivp(lambda t, y, v=value: rate(y, v), (0, dt), state, rtol=1e-10, atol=1e-12)
        state = one.y[:, -1]
        found.append(state)
    return np.array(found)


def test_exact_step_of_lif_is_its_equation() -> None:
    """Reset where it is above the threshold at the end of a step."""
    tau, r, leak, threshold, reset, dt = 0.02, 1.5, 0.2, 1.0, -0.1, 0.004
    graph = chain(nir.LIF(*(full(1, v) for v in (tau, r, leak, threshold, reset))), shape=(1,))
    x = RNG.uniform(0, 3, (1, 60, 1))
    found = run(graph, x, dt=dt, method="exact")[1]
    v, fired = 0.0 + reset, []
    for value in x[0, :, 0]:
        (v,) = solved(lambda y, i: [(leak - y[0] + r * i) / tau], [v], np.array([value]), dt)[-1]
        fired.append(v > threshold)
        v = reset if v > threshold else v
    assert 5 < sum(fired) < 55
    np.testing.assert_array_equal(found.spikes["0"][0, :, 0], fired)
    assert found.y[0, 0] == pytest.approx(np.mean(fired))


@pytest.mark.parametrize("kind", ["LI", "I", "CubaLI"])
def test_potentials_follow_their_equation(kind: str) -> None:
    """LI and I exactly; Euler's step of CubaLI converges to its equation."""
    x = RNG.uniform(-1, 1, 20)
    if kind == "CubaLI":
        node = nir.CubaLI(*(full(1, v) for v in (0.03, 0.02, 1.5, 0.3, 2.0)))
        wanted = solved(lambda y, s: [(2.0 * s - y[0]) / 0.03, (0.3 - y[1] + 1.5 * y[0]) / 0.02], [0.0, 0.0], x, 0.005)
        fine = x.repeat(1000)
        result = run(chain(node, shape=(1,)), fine.reshape(1, -1, 1), dt=5e-6)[1].y
        assert result[0, 0] == pytest.approx(wanted[-1, 1], abs=2e-3)
        return
    node = nir.LI(*(full(1, v) for v in (0.02, 1.5, 0.3))) if kind == "LI" else nir.I(full(1, 1.5))

    def rate(y: Array, i: float) -> list[float]:
        return [(0.3 - y[0] + 1.5 * i) / 0.02] if kind == "LI" else [1.5 * i]

    result = run(chain(node, shape=(1,)), x.reshape(1, -1, 1), dt=0.005, method="exact")[1].y
    assert result[0, 0] == pytest.approx(solved(rate, [0.0], x, 0.005)[-1, 0], abs=1e-9)


def test_spikes_are_strict_and_if_adds_up() -> None:
    graph = chain(nir.IF(full(1, 1.0), full(1, 3.0), full(1, 0.5)), shape=(1,))
    found = run(graph, np.ones((1, 9, 1)), dt=1.0)[1]
    # From the reset 0.5: 1.5, 2.5, 3.5 and again.
    np.testing.assert_array_equal(np.flatnonzero(found.spikes["0"][0, :, 0]), [2, 5, 8])
    exact = chain(nir.IF(full(1, 1.0), full(1, 3.0)), shape=(1,))
    found = run(exact, np.ones((1, 9, 1)), dt=1.0)[1]
    # 3 is not above 3.
    np.testing.assert_array_equal(np.flatnonzero(found.spikes["0"][0, :, 0]), [3, 7])


def test_parameters_as_scalars_or_for_all_neurons() -> None:
    """One number, one for each neuron, one for each channel: the same network."""
    x = RNG.uniform(0, 3, (2, 12, 1, 4, 4))
    conv = nir.Conv2d(None, RNG.normal(0.4, 0.4, (2, 1, 3, 3)), 1, 1, 1, 1, np.zeros(2))
    found = []
    for shape in ((), (1,), (2, 4, 4), (32,)):
        lif = nir.LIF(*(np.full(shape, v) for v in (0.02, 1.0, 0.0, 1.0, 0.0)))
        found.append(run(chain(conv, lif, shape=(1, 4, 4)), x, dt=0.004))
    assert found[0][1].spikes["1"].any()
    assert all(network == found[0][0] for network, _ in found)


def test_neurons_that_differ() -> None:
    """Thresholds, resets, leaks, resistances of their own: as one population for each neuron."""
    values = [RNG.uniform(0.5, 2, 4), RNG.uniform(-0.2, 0.2, 4), RNG.uniform(0.8, 2, 4), RNG.uniform(-0.5, 0.3, 4)]
    r, leak, threshold, reset = values
    x = RNG.uniform(0, 9, (3, 30, 4))
    whole = run(chain(nir.LIF(full(4, 0.02), r, leak, threshold, reset), shape=(4,)), x, dt=0.003)[1]
    for k in range(4):
        own = nir.LIF(*(np.array([v]) for v in (0.02, r[k], leak[k], threshold[k], reset[k])))
        one = run(chain(own, shape=(1,)), x[:, :, k : k + 1], dt=0.003)[1]
        assert one.spikes["0"].any()
        np.testing.assert_array_equal(whole.spikes["0"][:, :, k], one.spikes["0"][:, :, 0])


def test_older_files(tmp_path: Path) -> None:
    """LIF and CubaLIF without v_reset and w_in."""
    lif = nir.LIF(*(full(3, v) for v in (0.02, 1.0, 0.0, 1.0)))
    cuba = nir.CubaLIF(*(full(3, v) for v in (0.01, 0.02, 1.0, 0.0, 1.0)))
    path = tmp_path / "a.nir"
    nir.write(path, chain(lif, nir.Linear(RNG.normal(size=(3, 3))), cuba))
    whole = ours.import_network(path, time_steps=4, dt=1e-3)
    with h5py.File(path, "a") as file:
        del file["node/nodes/0/v_reset"], file["node/nodes/2/v_reset"], file["node/nodes/2/w_in"], file["version"]
    assert ours.import_network(path, time_steps=4, dt=1e-3) == whole
    assert [type(p.neuron) for p in whole.populations[:2]] == [SteppedLIF, SteppedSynaptic]


def reference_images(x: Array, layers: list[Any]) -> Array:
    """What torch makes of frames (samples, steps, ...) without neurons."""
    flat = torch.from_numpy(x.reshape(-1, *x.shape[2:]))
    for layer in layers:
        flat = layer(flat)
    return np.asarray(flat.detach().numpy().reshape(*x.shape[:2], -1))


@pytest.mark.parametrize("pool", ["avg", "sum"])
@pytest.mark.parametrize("shapes", [True, False])
def test_maps_in_a_row_are_those_of_torch(pool: str, shapes: bool) -> None:
    """Scale, convolution, pooling, convolution with stride and groups, flatten, affine: means over the steps."""
    torch.manual_seed(0)
    x = RNG.uniform(-1, 1, (2, 3, 2, 8, 6))
    first = torch.nn.Conv2d(2, 4, 3, padding=1, dtype=torch.float64)
    second = torch.nn.Conv2d(4, 6, (2, 3), stride=(2, 1), padding=(1, 0), groups=2, bias=False, dtype=torch.float64)
    last = torch.nn.Linear(18, 5, dtype=torch.float64)
    average = torch.nn.AvgPool2d(2)
    factor = 4.0 if pool == "sum" else 1.0
    wanted = reference_images(3 * x, [first, average, lambda v: factor * v, second, torch.nn.Flatten(), last]).mean(
        axis=1
    )

    def numbers(parameter: Any) -> Array:
        return np.asarray(parameter.detach().numpy())

    window = [np.array(2), np.array([2, 2]), np.array([0, 0])]
    nodes = [
        nir.Scale(np.array(3.0)),
        nir.Conv2d((8, 6) if shapes else None, numbers(first.weight), 1, (1, 1), 1, 1, numbers(first.bias)),
        nir.AvgPool2d(*window) if pool == "avg" else nir.SumPool2d(*window),
        nir.Conv2d((4, 3) if shapes else None, numbers(second.weight), (2, 1), (1, 0), 1, 2, np.zeros(6)),
        nir.Flatten(None, *((1, -1) if shapes else (0, -1))),
        nir.Affine(numbers(last.weight), numbers(last.bias)),
    ]
    found = run(chain(*nodes, shape=(2, 8, 6), end=(5,)), x)[1]
    np.testing.assert_allclose(found.y, wanted, rtol=0, atol=1e-9)


def test_pooling_behind_spikes_stays_a_convolution() -> None:
    """A pooling and the convolution behind it are one convolution; all to all behind one are full weights."""
    lif = [np.array(v) for v in (0.02, 1.0, 0.0, 1.0)]
    nodes = [
        nir.Conv2d(None, RNG.normal(0.5, 0.5, (3, 1, 3, 3)), 1, "same", 1, 1, np.zeros(3)),
        nir.LIF(*lif),
        nir.AvgPool2d(np.array(2), np.array(2), np.array(0)),
        nir.Conv2d(None, RNG.normal(0.5, 0.9, (4, 3, 3, 3)), 1, 1, 1, 1, np.zeros(4)),
        nir.LIF(*lif),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten(None, 1, -1),
        nir.Linear(RNG.normal(size=(5, 16))),
    ]
    network, found = run(chain(*nodes, shape=(1, 8, 8)), RNG.uniform(0, 9, (2, 9, 1, 8, 8)), dt=0.004)
    middle = network.projections[1].synapses
    assert isinstance(middle, Conv2d)
    assert (middle.kernel, middle.stride, middle.padding) == ((6, 6), (2, 2), (2, 2))
    spikes = torch.from_numpy(found.spikes["1"].reshape(-1, 3, 8, 8).astype(float))
    pooled = torch.nn.functional.avg_pool2d(spikes, 2)
    wanted = torch.nn.functional.conv2d(pooled, torch.from_numpy(nodes[3].weight), padding=1).flatten(1).numpy()
    arrives = middle.apply(network.projections[1].weight, found.spikes["1"].reshape(-1, 192).astype(float))
    np.testing.assert_allclose(arrives, wanted, rtol=0, atol=1e-12)


def test_conv1d() -> None:
    x = RNG.uniform(-1, 1, (2, 3, 2, 9))
    layer = torch.nn.Conv1d(2, 3, 4, stride=2, padding=1, dilation=2, dtype=torch.float64)
    weight, bias = (np.asarray(one.detach().numpy()) for one in (layer.weight, layer.bias))
    found = run(chain(nir.Conv1d(None, weight, 2, 1, 2, 1, bias), shape=(2, 9)), x)[1]
    np.testing.assert_allclose(found.y, reference_images(x, [layer]).mean(axis=1), rtol=0, atol=1e-12)


def test_convolution_without_bias_and_shape(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    conv = nir.Conv2d((5, 5), RNG.normal(size=(2, 1, 3, 3)), 1, 1, 1, 1, np.zeros(2))
    nir.write(path, chain(conv, nir.LIF(*(full(1, v) for v in (0.02, 1.0, 0.0, 1.0))), shape=(1, 1, 5, 5)), None)
    whole = ours.import_network(path, time_steps=4, dt=1e-3)
    with h5py.File(path, "a") as file:
        del file["node/nodes/0/bias"], file["node/nodes/0/input_shape"]
    assert ours.import_network(path, time_steps=4, dt=1e-3) == whole
    assert whole.encoders[0].shape == (1, 5, 5)


def test_delays_and_branches() -> None:
    """Two ways from one population to another, one of them later; a delay for each source."""
    lif = nir.IF(full(3, 1.0), full(3, 0.5))
    nodes = {
        "in": nir.Input(np.array([3])), "a": lif, "late": nir.Delay(np.array([0.0, 2e-3, 5e-3])),
        "w": nir.Linear(np.eye(3)), "s": nir.Scale(full(3, 10.0)), "out": nir.Output(np.array([3])),
    }  # fmt: skip
    edges = [("in", "a"), ("a", "late"), ("late", "w"), ("w", "out"), ("a", "s"), ("s", "out")]
    x = np.zeros((1, 8, 3))
    x[0, 0] = 1000.0
    network, found = run(nir.NIRGraph(nodes, edges, type_check=False), x, dt=1e-3)
    assert found.spikes["a"].sum() == 3
    # Each spike counts ten, and one more, later.
    np.testing.assert_allclose(found.y[0] * 8, [11, 11, 11])
    delays = [p.delay for p in network.projections if p.delay is not None]
    np.testing.assert_array_equal(delays[0], [0, 2, 5])


def test_graphs_inside_a_graph() -> None:
    inner = chain(nir.Linear(RNG.normal(size=(4, 3))), nir.IF(full(4, 1.0), full(4, 0.5)), end=(4,))
    x = RNG.uniform(0, 1, (2, 5, 3))
    nested = run(chain(inner, nir.Linear(np.ones((2, 4)))), x, dt=1.0)[1]
    flat = run(chain(inner.nodes["0"], inner.nodes["1"], nir.Linear(np.ones((2, 4)))), x, dt=1.0)[1]
    assert flat.y.any()
    np.testing.assert_array_equal(nested.y, flat.y)


def _odd(size: int = 3) -> Any:
    return nir.LIF(full(size, 0.02), full(size, 1.0), full(size, 0.0), full(size, 1.0))


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "several kinds": (
        chain(nir.Threshold(full(3, 1.0)), nir.Threshold(full(3, 1.0))), {},
        r"0 \(Threshold\): a network in time steps holds no such node; 1 \(Threshold\)",
    ),
    "no dt": (chain(_odd()), {"dt": None}, r"0 \(LIF\): .* give the length of a time step, dt \(--dt\)"),
    "no steps": (chain(_odd()), {"time_steps": None}, "how many time steps"),
    "long dt": (chain(_odd()), {"dt": 0.03}, "dt = 0.03 is longer than its time constant"),
    "delay": (chain(nir.Delay(full(3, 0.0015))), {}, "its delay 0.0015 is no whole number of time steps of 0.001"),
    "delay of a bias": (chain(nir.Affine(np.eye(3), full(3, 1.0)), nir.Delay(full(3, 0.002))), {}, "behind a bias"),
    "shape": (chain(nir.Linear(np.eye(4))), {}, r"0 \(Linear\): its weight has shape \(4, 4\), what reaches it \(3,\)"),
    "tau": (
        chain(nir.LIF(np.array([0.02, 0.02, 0.03]), *(full(3, v) for v in (1.0, 0.0, 1.0)))), {},
        "its neurons differ in tau",
    ),
    "exact current": (
        chain(nir.CubaLIF(*(full(3, v) for v in (0.02, 0.02, 1.0, 0.0, 1.0)))), {"method": "exact"}, "use euler",
    ),
    "behind a potential": (
        chain(nir.LI(*(full(3, v) for v in (0.02, 1.0, 0.0))), nir.Linear(np.eye(3))), {}, "it sends no spikes",
    ),
    "pool": (chain(nir.AvgPool2d(np.array(2), np.array(2), np.array(0))), {}, r"\(channels, height, width\) is needed"),
    "nan": (chain(nir.Linear(np.full((2, 3), np.nan))), {}, "not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_named_in_one_line(name: str) -> None:
    graph, options, message = WRONG[name]
    with pytest.raises(InputError, match=message) as caught:
        ours.import_network(graph, **({"time_steps": 4, "dt": 1e-3} | options))
    assert "\n" not in str(caught.value)


def test_cycles_are_named() -> None:
    nodes = {
        "in": nir.Input(np.array([3])), "lif": _odd(), "back": nir.Linear(np.eye(3)), "out": nir.Output(np.array([3])),
    }  # fmt: skip
    edges = [("in", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "out")]
    with pytest.raises(InputError, match="nodes lif, back form a cycle"):
        ours.import_network(nir.NIRGraph(nodes, edges, type_check=False), time_steps=4, dt=1e-3)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    with pytest.raises(InputError, match="no such file"):
        ours.import_network(path, time_steps=1)
    path.write_bytes(b"\x89HDF\r\n\x1a\n and nothing else")
    with pytest.raises(InputError, match="not a NIR file"):
        ours.import_network(path, time_steps=1)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="no NIR graph"):
        ours.import_network(path, time_steps=1)


NETWORKS: dict[str, Network] = {
    "layers": ordinary((3, 4, 2)),
    "branched": branched(),
    "classes": replace(ordinary((2, 5, 4)), outputs=(FirstSpike("output", np.array([2, 0, 3])),)),
    "listed": listed(branched()),
    "convolution": replace(
        ordinary((4, 8, 2)),
        projections=(
            Projection("input", "hidden1", np.array([0.5, -0.25]).reshape(2, 1, 1, 1), Conv2d((1, 2, 2), 2, (1, 1))),
            ordinary((4, 8, 2)).projections[1],
        ),
    ),
    "with a host": zoo.network("burgers_pinn"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_qif_networks_come_back(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    ours.save(network, tmp_path / "a.nir")
    assert ours.import_network(tmp_path / "a.nir") == network
    assert ours.import_network(ours.to_graph(network)) == network


def test_the_proposed_node_is_the_networks_neuron() -> None:
    """Its equation, solved from the numbers in the graph, spikes when the network does."""
    network = ordinary((1, 1, 2))
    graph = ours.to_graph(network)
    node, weight = graph.nodes["hidden1"], graph.nodes["projection0"].weight
    (encoder,) = network.encoders
    x = np.array([[0.3]])
    arrives = encoder.latest - 0.3 * (encoder.latest - encoder.earliest)
    tau, r, a, rest, critical, i0, threshold, reset, phi0 = (
        float(getattr(node, key)[0])
        for key in ("tau", "r", "a", "v_rest", "v_critical", "i_0", "v_threshold", "v_reset", "phi_0")
    )
    assert (threshold, reset) == (np.inf, -np.inf)

    def rate(t: float, v: Array) -> Array:
        return (a * (v - rest) * (v - critical) + i0) / tau

    def far(t: float, v: Array) -> float:
        return float(v[0] - 1e7)

    far.terminal = True  # type: ignore[attr-defined]
    # From -1e7, which it reaches right after a reset, for the time phi0.
    start = solve_ivp(rate, (0, phi0), [-1e7], method="LSODA", rtol=1e-10, atol=1e-8).y[0, -1]
    before = solve_ivp(rate, (0, arrives), [start], method="LSODA", rtol=1e-10, atol=1e-8).y[0, -1]
    after = solve_ivp(
        rate, (arrives, 50), [before + r / tau * weight[0, 0]], events=far, method="LSODA", rtol=1e-10, atol=1e-8
    )
    run = reference.run(network, x)
    first = float(after.t_events[0][0])
    assert arrives < first < network.trial
    np.testing.assert_allclose(run.spikes["hidden1"].time[0], first, rtol=0, atol=1e-5)


def test_the_package_reads_it_with_the_proposed_change(tmp_path: Path) -> None:
    """docs/nir-qif.patch, applied to a copy of the installed package."""
    installed = Path(str(nir.__file__)).parent
    shutil.copytree(installed, tmp_path / "nir", ignore=shutil.ignore_patterns("__pycache__"))
    patch = Path(__file__).parents[2] / "docs" / "nir-qif.patch"
    subprocess.run(["git", "apply", patch], cwd=tmp_path, check=True)
    network = ordinary((3, 4, 2))
    ours.save(network, tmp_path / "a.nir")
    program = (
        "import nir, sys; graph = nir.read(sys.argv[1]); assert type(graph.nodes['hidden1']) is nir.QIF;"
        "print(*graph.nodes['hidden1'].phi_0.tolist(), graph.nodes['output'].tau.shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "a.nir"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [*map(repr, network.populations[0].phi0.tolist()), "(2,)"]
