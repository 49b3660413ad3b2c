"""Modules of neurons in discrete time: the compiled pass against its plain twin, states, shapes, tracing, refusals."""

import copy
from dataclasses import replace
from typing import Any

import numba
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stepped import exact_neurons
from torch import Tensor, nn

from qif2hw.discrete import Stepped, SteppedLIF, SteppedQIF
from qif2hw.errors import InputError
from qif2hw.nn import LIF, Accumulate, DiscreteQIF
from qif2hw.nn.functional import discrete
from qif2hw.nn.functional.discrete import discrete_steps, eager_steps

NEURONS: dict[str, Stepped] = {
    "exact": SteppedQIF(reset=-0.2),
    "euler": SteppedQIF(kind="euler", gain=0.7),
    "one root": SteppedQIF(a=0.3, u1=0.1, u2=0.1),
    "complex": SteppedQIF(a=0.7, u1=0.1 + 0.6j, u2=0.1 - 0.6j),
    "lif": SteppedLIF(rest=0.1, reset=-0.1),
}
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
SHAPE = (60, 70)
STEPS = 5
WINDOW = (0.5, 0.6, 0.7, 0.4, 0.5)


def parameters(q: Stepped, learned: bool = False) -> Tensor:
    values = [*q.relaxation, q.gain, q.threshold, q.reset]
    return torch.tensor(values, dtype=torch.float64, requires_grad=learned)


def normal(shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def run(function: Any, q: Stepped, dtype: torch.dtype, rows: int = STEPS, **options: Any) -> tuple[Tensor, ...]:
    """Spikes, last states, and the gradients of a random sum of both by inputs, first states and parameters."""
    x = normal((rows, *SHAPE), 0, dtype).requires_grad_()
    state = normal(SHAPE, 1, dtype).clamp(max=0.9).requires_grad_()
    numbers = parameters(q, learned=True)
    s, u = function(x, state, numbers, steps=STEPS, window=WINDOW, **options)
    loss = (s * normal(s.shape, 2, dtype)).sum() + (u * normal(u.shape, 3, dtype)).sum()
    return s.detach(), u.detach(), *torch.autograd.grad(loss, (x, state, numbers))


class TestTheCompiledPass:
    @pytest.mark.parametrize("detach_reset", [False, True])
    @pytest.mark.parametrize("rows", [1, STEPS])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("name", NEURONS)
    def test_equals_its_plain_twin(self, name: str, dtype: torch.dtype, rows: int, detach_reset: bool) -> None:
        ours = run(discrete_steps, NEURONS[name], dtype, rows, detach_reset=detach_reset)
        twin = run(eager_steps, NEURONS[name], dtype, rows, detach_reset=detach_reset)
        assert 0.05 < ours[0].mean() < 0.6
        assert torch.equal(ours[0], twin[0])
        for a, b in zip(ours[1:4], twin[1:4], strict=True):
            torch.testing.assert_close(a, b, rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])
        torch.testing.assert_close(ours[1], twin[1], rtol=0, atol=TOLERANCE[dtype])
        # Sums over 21 000 terms of both signs; ours are in float64.
        torch.testing.assert_close(ours[4], twin[4], rtol=1e3 * TOLERANCE[dtype], atol=1e3 * TOLERANCE[dtype])

    @pytest.mark.parametrize("name", NEURONS)
    def test_bits_do_not_depend_on_threads(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(discrete, "WORTH_THREADS", 10**9)
        serial = run(discrete_steps, NEURONS[name], torch.float32)
        monkeypatch.setattr(discrete, "WORTH_THREADS", 0)
        threads = numba.get_num_threads()
        try:
            for n in {1, threads}:
                numba.set_num_threads(n)
                for a, b in zip(serial, run(discrete_steps, NEURONS[name], torch.float32), strict=True):
                    assert torch.equal(a, b)
        finally:
            numba.set_num_threads(threads)

    @pytest.mark.parametrize("name", NEURONS)
    def test_gradient_of_the_states_where_nothing_fires(self, name: str) -> None:
        """Far below the threshold the surrogate is not involved: finite differences of the last states."""
        q = NEURONS[name]
        x, state = normal((3, 4), 5, torch.float64) * 0.1 - 0.4, normal((4,), 6, torch.float64) * 0.1
        numbers = parameters(q)

        def last(*arguments: Tensor) -> Tensor:
            return discrete_steps(*arguments, steps=3, window=(0.01,) * 3)[1]

        free = [t.clone().requires_grad_() for t in (x, state, numbers)]
        assert torch.autograd.gradcheck(last, free)

    @settings(deadline=None, max_examples=60)
    @given(exact_neurons(), st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=12), st.booleans())
    def test_exact_states_are_finite_and_bounded_in_both_types(
        self, q: SteppedQIF, inputs: list[float], single: bool
    ) -> None:
        dtype, relative = (torch.float32, 1e-2) if single else (torch.float64, 1e-9)
        u, numbers = torch.tensor([q.reset], dtype=dtype), parameters(q)
        for value in inputs:
            x, before = torch.tensor([[value]], dtype=dtype), u
            s, u = discrete_steps(x, u, numbers, steps=1, window=(0.5,))
            assert s.item() in (0.0, 1.0)
            assert torch.isfinite(u).all()
            if s.item() == 0:
                scale = abs(q.u1) + abs(q.u2) + q.upper_bound - q.u1.real + abs(before.item()) + abs(value)
                relaxed = u.item() - x.item()
                assert q.lower_bound - relative * scale <= relaxed <= q.upper_bound + relative * scale

    def test_what_is_not_a_number_shows(self) -> None:
        x = torch.tensor([[0.1, float("nan"), float("-inf"), float("inf")]])
        for function in (discrete_steps, eager_steps):
            s, u = function(x, torch.zeros(4), parameters(SteppedLIF()), steps=1, window=(0.5,))
            assert s[0].isnan().tolist() == [False, True, True, False]
            assert (s[0, 0].item(), s[0, 3].item(), u[3].item()) == (0.0, 1.0, 0.0)
        assert torch.equal(
            s.isnan(), eager_steps(x, torch.zeros(4), parameters(SteppedLIF()), steps=1, window=(1.0,))[0].isnan()
        )


MODULES: dict[str, Any] = {
    "exact": lambda **o: DiscreteQIF(**o),
    "euler": lambda **o: DiscreteQIF(kind="euler", **o),
    "lif": lambda **o: LIF(**o),
}


@pytest.fixture(params=sorted(MODULES))
def module(request: pytest.FixtureRequest) -> Any:
    return MODULES[request.param]


class TestShapesAndStates:
    def test_the_three_forms_of_the_input(self, module: Any) -> None:
        x = normal((4, 3, 2, 5, 5), 0, torch.float32)
        s = module()(x)
        assert s.shape == x.shape
        assert torch.equal(module(time_steps=4)(x.flatten(0, 1)), s.flatten(0, 1))
        held = module(time_steps=4, hold=True)(x[0])
        assert torch.equal(held, module()(x[:1].repeat(4, 1, 1, 1, 1)).flatten(0, 1))

    def test_steps_in_parts_carry_the_state(self, module: Any) -> None:
        x = normal((7, 3, 11), 1, torch.float64)
        layer = module()
        whole, end = layer.run(x)
        first, state = layer.run(x[:3])
        second, last = layer.run(x[3:], state)
        assert torch.equal(torch.cat([first, second]), whole)
        assert torch.equal(last, end)
        assert torch.equal(layer(x), whole)

    def test_gradients_through_a_carried_state(self, module: Any) -> None:
        x = normal((6, 5, 5), 2, torch.float64).requires_grad_()
        layer = module()
        (whole,) = torch.autograd.grad(layer(x).sum(), x)
        first, state = layer.run(x[:2])
        second, _ = layer.run(x[2:], state)
        (parts,) = torch.autograd.grad(first.sum() + second.sum(), x)
        torch.testing.assert_close(parts, whole)

    def test_memory_formats(self, module: Any) -> None:
        x = normal((4, 2, 3, 6, 6), 3, torch.float32)
        folded = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        assert not folded.is_contiguous()
        assert torch.equal(module(time_steps=4)(folded), module()(x).flatten(0, 1))
        strided = x.repeat_interleave(2, dim=4)[..., ::2].requires_grad_()
        s = module()(strided)
        assert torch.equal(s, module()(x))
        s.transpose(0, 1).sum().backward()
        plain = x.clone().requires_grad_()
        module()(plain).sum().backward()
        assert torch.equal(strided.grad, plain.grad)

    def test_empty_batches(self, module: Any) -> None:
        x = torch.zeros(4, 0, 3, requires_grad=True)
        s = module()(x)
        assert s.shape == (4, 0, 3)
        s.sum().backward()
        assert x.grad is not None
        assert x.grad.shape == x.shape
        assert module(time_steps=4)(torch.zeros(0, 3)).shape == (0, 3)

    def test_without_gradients(self, module: Any) -> None:
        x = normal((4, 3, 5), 4, torch.float32)
        expected = module()(x)
        with torch.no_grad():
            assert torch.equal(module()(x.clone().requires_grad_()), expected)
        with torch.inference_mode():
            assert torch.equal(module()(x), expected)
        assert not expected.requires_grad

    def test_inputs_and_states_are_not_written_to(self, module: Any) -> None:
        x, state = normal((4, 3), 5, torch.float32), torch.zeros(3)
        kept = x.clone()
        module().run(x, state)
        assert torch.equal(x, kept)
        assert not state.any()

    def test_a_state_that_changes_before_the_backward_pass_is_noticed(self, module: Any) -> None:
        state = torch.zeros(3)
        s, _ = module().run(torch.zeros(4, 3, requires_grad=True), state)
        state += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            s.sum().backward()

    def test_other_devices_use_the_twin(self, module: Any) -> None:
        """The meta device computes no values; the compiled pass could not read them."""
        x = torch.zeros(4, 3, 5, device="meta")
        s = module()(x)
        assert (s.shape, s.device.type) == ((4, 3, 5), "meta")


def test_spikingjelly_names() -> None:
    assert DiscreteQIF.from_spikingjelly(tau=4.0, window=1.0).neuron == SteppedQIF(
        0.25, 0.0, 0.8, 1.0, -0.1, 0.25, "euler"
    )
    assert DiscreteQIF.from_spikingjelly(kind="exact").neuron == SteppedQIF(0.5, 0.0, 0.8, 1.0, -0.1, 0.5)
    assert LIF.from_spikingjelly(tau=4.0, time_steps=3).neuron == SteppedLIF(0.75, gain=0.25)


class TestWindow:
    def test_relative_to_the_threshold(self) -> None:
        assert DiscreteQIF(threshold=0.8).half_widths(2) == (0.4, 0.4)
        assert LIF(threshold=2.0, window=1.0).half_widths(1) == (2.0,)

    def test_analytic(self) -> None:
        widths = DiscreteQIF(window="analytic").half_widths(6)
        assert widths[0] == 1.0
        assert widths[5] == pytest.approx(1.17, abs=0.01)

    def test_is_the_support_of_the_gradient(self) -> None:
        layer = LIF(leak=0.0, window=0.25)
        x = torch.tensor([[0.7, 0.76, 1.24, 1.3]], requires_grad=True)
        layer(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 2.0, 2.0, 0.0]]


class Residual(nn.Module):
    """Additions and shared shapes, as in residual networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.first, self.second = DiscreteQIF(time_steps=3), LIF(time_steps=3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.conv(self.first(x)) + x)
        return out


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), DiscreteQIF(time_steps=3, hold=True, learnable=("a", "u2")), Residual(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2 * 9, 4), Accumulate(3),
    )  # fmt: skip


class TestInNetworks:
    def test_trains(self) -> None:
        net = network()
        x, label = normal((8, 1, 8, 8), 0, torch.float32), torch.arange(8) % 4
        optimiser = torch.optim.Adam(net.parameters(), 1e-2)
        losses = []
        for _ in range(60):
            loss = nn.functional.cross_entropy(net(x), label)
            optimiser.zero_grad()
            loss.backward()
            assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]

    def test_torch_fx_keeps_neurons_as_nodes(self) -> None:
        net = network().eval()
        traced = torch.fx.symbolic_trace(net)
        kinds = [type(traced.get_submodule(str(n.target))) for n in traced.graph.nodes if n.op == "call_module"]
        assert (kinds.count(DiscreteQIF), kinds.count(LIF), kinds.count(Accumulate)) == (2, 1, 1)
        x = normal((2, 1, 8, 8), 1, torch.float32)
        assert torch.equal(traced(x), net(x))

    def test_copies_and_saved_states(self) -> None:
        net = network()
        with torch.no_grad():
            net[2].a.fill_(0.3)  # type: ignore[union-attr, operator]
        x = normal((2, 1, 8, 8), 1, torch.float32)
        other = network()
        other.load_state_dict(net.state_dict())
        expected = net.eval()(x)
        assert torch.equal(other.eval()(x), expected)
        assert torch.equal(copy.deepcopy(net)(x), expected)
        assert net[2].neuron == SteppedQIF(a=torch.tensor(0.3).item())

    def test_double_precision(self) -> None:
        net = network().double()
        assert net(normal((2, 1, 8, 8), 1, torch.float64)).dtype == torch.float64

    def test_accumulate(self) -> None:
        x = normal((6, 4), 0, torch.float32)
        torch.testing.assert_close(Accumulate(3)(x), (x[:2] + x[2:4] + x[4:]) / 3)
        torch.testing.assert_close(Accumulate()(x.view(3, 2, 4)), Accumulate(3)(x))


class TestLearnedParameters:
    @pytest.mark.parametrize("name", ["exact", "euler", "lif"])
    def test_gradients_are_those_of_the_states(self, name: str) -> None:
        """Where nothing fires: finite differences by every parameter, through the module."""
        q = NEURONS[name]
        layer = (LIF if isinstance(q, SteppedLIF) else DiscreteQIF)(q, learnable=q.learnable).double()
        x = normal((3, 20), 5, torch.float64) * 0.1 - 0.4

        def last(neuron: Stepped) -> float:
            u = torch.full((20,), -0.25, dtype=torch.float64)
            return type(layer)(neuron).run(x, u)[1].square().sum().item()

        layer.run(x, torch.full((20,), -0.25, dtype=torch.float64))[1].square().sum().backward()
        for field in q.learnable:
            value, h = getattr(q, field), 1e-5
            slope = (last(replace(q, **{field: value + h})) - last(replace(q, **{field: value - h}))) / (2 * h)
            # Learned parameters start as float32.
            assert getattr(layer, field).grad.item() == pytest.approx(slope, rel=1e-4, abs=1e-5)

    def test_the_reset_is_the_first_state_too(self) -> None:
        layer = DiscreteQIF(reset=-0.2, learnable=["reset"]).double()
        x = normal((2, 20), 5, torch.float64) * 0.1 - 0.4
        layer.run(x)[1].sum().backward()
        high, low = (DiscreteQIF(reset=-0.2 + h).run(x)[1].sum().item() for h in (1e-5, -1e-5))
        assert layer.reset.grad.item() == pytest.approx((high - low) / 2e-5, rel=1e-4)

    def test_a_module_used_twice_before_the_backward_pass(self) -> None:
        layer = DiscreteQIF(learnable=["a", "threshold", "reset"]).double()
        x = normal((3, 20), 5, torch.float64)
        (layer(layer(x) + x)).sum().backward()
        assert layer.threshold.grad is not None

    def test_by_default_nothing_is_learned(self) -> None:
        assert not list(DiscreteQIF().parameters())
        assert dict(DiscreteQIF(learnable=["a"]).named_parameters()).keys() == {"a"}

    @pytest.mark.parametrize(
        ("values", "learnable"),
        [({"a": -1.0}, "a"), ({"a": 50.0}, "a"), ({"u1": 0.7, "u2": 0.2}, "u1 u2"), ({"threshold": 9.0}, "threshold")],
    )
    def test_invalid_ones_go_back_towards_the_last_valid_ones(self, values: dict[str, float], learnable: str) -> None:
        layer = DiscreteQIF(learnable=learnable.split())
        start = layer.neuron
        with torch.no_grad():
            for name, value in values.items():
                getattr(layer, name).fill_(value)
        with pytest.raises(InputError):
            layer.eval()(torch.zeros(2, 3))
        assert torch.isfinite(layer.train()(torch.zeros(2, 3))).all()
        for name, value in values.items():
            low, high = sorted((getattr(start, name), value))
            assert low <= getattr(layer.neuron, name) <= high

    def test_one_double_root_can_be_learned(self) -> None:
        layer = DiscreteQIF(u1=0.2, u2=0.2, learnable=["u2"])
        layer.run(torch.zeros(3, 2), torch.tensor([0.5, -1.0]))[1].sum().backward()
        assert torch.isfinite(layer.u2.grad)


REFUSED: list[tuple[str, Any, str]] = [
    ("integers", lambda: LIF()(torch.zeros(3, 2, dtype=torch.int64)), r"int64: float32 or float64 .*\.float"),
    ("half precision", lambda: LIF()(torch.zeros(3, 2).half()), "float16: float32 or float64"),
    ("no steps", lambda: LIF()(torch.zeros(0, 2)), "T >= 1"),
    ("no time axis", lambda: LIF()(torch.zeros(3)), r"\(T, N, ...\)"),
    ("rows that are no steps", lambda: LIF(time_steps=4)(torch.zeros(6, 2)), "6 rows are not 4 steps"),
    ("scores that are no steps", lambda: Accumulate(4)(torch.zeros(6, 2)), "6 rows are not 4 steps"),
    ("T = 0", lambda: LIF(time_steps=0), "time_steps = 0"),
    ("T = 0 of scores", lambda: Accumulate(0), "time_steps = 0"),
    ("hold without T", lambda: LIF(hold=True), "time_steps"),
    ("a window of nothing", lambda: LIF(window=0.0), "window = 0.0"),
    ("an unknown window", lambda: LIF(window="triangle"), "window = 'triangle'"),  # type: ignore[arg-type]
    ("an unknown parameter", lambda: LIF(tau=2.0), "LIF: no parameter 'tau'; there are leak"),
    ("the wrong family", lambda: LIF(SteppedQIF()), "SteppedLIF"),  # type: ignore[arg-type]
    ("twice", lambda: LIF(SteppedLIF(), leak=0.3), "not both"),
    ("a window without a unit", lambda: LIF(rest=-2.0, reset=-2.0, threshold=-1.0), "threshold = -1"),
    ("an unknown learned parameter", lambda: LIF(learnable=["tau"]), "'tau' cannot be learned"),
    ("a learned complex root", lambda: DiscreteQIF(u1=1j, u2=-1j, learnable=["u1"]), "'u1' cannot be learned"),
    ("u1 above u2", lambda: DiscreteQIF(u1=0.7), "u1 = 0.7"),
    ("states of another shape", lambda: LIF().run(torch.zeros(3, 2), torch.zeros(3)), "states"),
    ("states of another type", lambda: LIF().run(torch.zeros(3, 2), torch.zeros(2).double()), "float64"),
    ("states above the threshold", lambda: LIF().run(torch.zeros(3, 2), torch.ones(2)), "below the threshold 1"),
    ("states that are none", lambda: LIF().run(torch.zeros(3, 2), torch.full((2,), torch.nan)), "below the threshold"),
]


@pytest.mark.parametrize(("act", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused_in_one_line(act: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        act()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("function", [discrete_steps, eager_steps])
def test_second_derivatives_are_refused(function: Any) -> None:
    x = torch.zeros(3, 2, requires_grad=True)
    s, _ = function(x, torch.zeros(2), parameters(SteppedLIF()), steps=3, window=(0.5,) * 3)
    (slope,) = torch.autograd.grad(s.sum(), x, create_graph=True)
    with pytest.raises(InputError, match="surrogate gradient has no derivative"):
        torch.autograd.grad(slope.sum(), x, allow_unused=True, retain_graph=True)
    with pytest.raises(InputError, match="surrogate gradient has no derivative"):
        slope.sum().backward()


def test_inputs_changed_before_the_gradient_are_refused() -> None:
    """Inputs are read again where parameters are learned, and states always."""
    x, state, numbers = torch.zeros(3, 2), torch.zeros(2), parameters(SteppedLIF())
    for learned, changed in ((True, x), (True, state), (False, state)):
        given = (x.clone().requires_grad_(), state, numbers.clone().requires_grad_(learned))
        if changed is x:
            given = (x, *given[1:])
        s, _ = discrete_steps(*given, steps=3, window=(0.5,) * 3)
        changed += 1.0
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            s.sum().backward()
        changed -= 1.0
