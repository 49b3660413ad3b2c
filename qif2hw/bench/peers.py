"""What the benchmark compares with: other ways to one gradient, each a function that takes one training step.

A peer that is not installed, or that cannot hold the network, is absent with a reason.
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor

from qif2hw.neuron import QIF
from qif2hw.nn.network import QIFNetwork

Step: TypeAlias = Callable[[], Any]
"""One pass: forward and backward, for the LIF networks also an optimiser step."""

LIF_STEPS = (32, 64, 128)
"""Time steps of the leaky integrate-and-fire networks."""

EAGER_LIMIT = 3_000_000
"""Updates of a network up to which the eager loop and the JAX simulator are measured: they take seconds beyond."""

PEERS = {"snntorch": "snntorch", "jaxsnn": "jaxsnn"}
"""Distributions of the extra ``peers`` by the module to import."""


def versions() -> dict[str, str]:
    """Versions of the installed peers, and why the others are absent."""
    found = {}
    for module, distribution in PEERS.items():
        present = importlib.util.find_spec(module) is not None
        found[distribution] = importlib.metadata.version(distribution) if present else "absent: not installed"
    found["eventax"] = (
        "absent: it needs Python 3.11, and finds spikes with an ordinary differential equation solver, to its tolerance"
    )
    return found


def peers(network: QIFNetwork, x: Tensor, updates: int) -> tuple[dict[str, Step], dict[str, Step], dict[str, str]]:
    """Peers of ``network`` on inputs ``x`` (batch, inputs).

    Returns
    -------
    passes, steps, absent
        Forward and backward passes; the same with an optimiser step; and the reasons of those that are missing.
    """
    passes: dict[str, Step] = {}
    steps: dict[str, Step] = {}
    absent: dict[str, str] = {}
    small = updates <= EAGER_LIMIT
    too_large = f"{updates} updates take it too long"
    if small:
        passes["eager torch"] = partial(eager_pass, network, x)
    else:
        absent["eager torch"] = too_large
    for count in LIF_STEPS:
        name = f"snntorch LIF, {count} steps"
        if importlib.util.find_spec("snntorch") is None:
            absent[name] = "not installed"
        else:
            steps[name] = snntorch_lif(network.sizes, x, count)
    name = "jaxsnn QIF"
    if importlib.util.find_spec("jaxsnn") is None:
        absent[name] = "not installed"
    elif not small:
        absent[name] = too_large
    elif x.dtype != torch.float64:
        absent[name] = "compared in float64"
    else:
        run = jaxsnn_qif(network, x)
        passes[name] = lambda: run()[1]["syn0"].block_until_ready()
    return passes, steps, absent


def eager_pass(network: QIFNetwork, x: Tensor) -> None:
    """Forward and backward pass of ``network`` on ``x`` (batch, inputs) in plain torch operations."""
    network.zero_grad(set_to_none=True)
    network.run(x, path="eager").y.square().sum().backward()


def snntorch_lif(sizes: tuple[int, ...], x: Tensor, steps: int) -> Step:
    """An optimiser step of a snnTorch network of leaky integrate-and-fire neurons; its last layer's potential is read.

    Inputs ``x`` (batch, inputs) are held for all steps, in float32, which is all that its spike function gives.
    """
    snntorch = importlib.import_module("snntorch")
    linear = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in pairwise(sizes))
    neurons = [snntorch.Leaky(beta=0.9) for _ in linear]
    optimizer = torch.optim.Adam(linear.parameters())
    x = x.float()

    def step() -> None:
        optimizer.zero_grad()
        states = [neuron.init_leaky() for neuron in neurons]
        result = torch.zeros((x.shape[0], sizes[-1]))
        for _ in range(steps):
            signal = x
            for k, (layer, neuron) in enumerate(zip(linear, neurons, strict=True)):
                signal, states[k] = neuron(layer(signal), states[k])
            result = result + states[-1]
        result.square().sum().backward()
        optimizer.step()

    return step


def jaxsnn_qif(network: QIFNetwork, x: Tensor) -> Callable[[], Any]:
    """The same network in jaxsnn, an event-driven simulator with one scan step per event of a layer.

    Its step takes any neuron with a closed form: here the phase of `qif2hw.neuron`, on inputs ``x`` (batch, inputs).
    Gradients by JAX through the scan, with respect to the weights alone.

    Returns
    -------
    function
        Call it for ``((loss, first spike times), gradients)``.
    """
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = importlib.import_module("jax.numpy")
    topology = importlib.import_module("jaxsnn.event.topology")
    modules = importlib.import_module("jaxsnn.event.modules")
    with torch.no_grad():
        layers = network.run(x).layers
        times = jnp.asarray(network.encode(x)[:, :, 0].numpy())
    arriving = [network.sizes[0], *(int(out.number.sum(dim=1).max()) for out in layers)]
    parts: dict[str, Any] = {"inp": modules.Source(network.sizes[0])}
    links = []
    for k, layer in enumerate(network.layers):
        weight = jnp.asarray(layer.weight.detach().numpy().T)
        parts[f"syn{k}"] = modules.Linear(pre_weights=weight)
        phi0 = jnp.asarray(layer.phi0.detach().numpy())
        parts[f"qif{k}"] = _jaxsnn_population(network.neuron, phi0, arriving[k] + arriving[k + 1])
        links += [(f"qif{k - 1}" if k else "inp", f"syn{k}"), (f"syn{k}", f"qif{k}")]
    builder = topology.Topology(t_max=network.regime.trial)
    builder.add(parts)
    builder.connect(links)
    init, apply = builder.done()
    parameters = init(jax.random.PRNGKey(0))
    order = jnp.argsort(times, axis=1)
    spikes = importlib.import_module("jaxsnn.event.types").Spike(
        time=jnp.take_along_axis(times, order, axis=1),
        idx=order,
        current=jnp.zeros_like(times),
        layer_idx=jnp.zeros(times.shape, dtype=int),
        internal=jnp.ones(times.shape, dtype=bool),
    )
    last, outputs = f"qif{len(network.layers) - 1}", jnp.arange(network.sizes[-1])

    def loss(weights: Any) -> Any:
        out = apply({"inp": spikes}, weights)[last]
        own = out.internal[:, :, None] & (out.idx[:, :, None] == outputs)
        first = jnp.min(jnp.where(own, out.time[:, :, None], network.regime.trial), axis=1)
        return jnp.sum((first[:, 1::2] - first[:, 0::2]) ** 2), first

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    return lambda: step(parameters)


def _jaxsnn_population(neuron: QIF, phi0: Any, events: int) -> Any:
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    types = importlib.import_module("jaxsnn.event.types")
    stepping = importlib.import_module("jaxsnn.event.stepping")
    state = importlib.import_module("jaxsnn.event.states").LIFState
    next_event = importlib.import_module("jaxsnn.event.solver.next_finder").next_event
    size, omega = len(phi0), neuron.omega

    def flow(neurons: Any, dt: Any) -> Any:
        return state(neurons.V + dt, neurons.I)

    def to_spike(neurons: Any, t_max: float) -> Any:
        return neuron.period - neurons.V

    def transition(synapse: str, now: Any, weights: Any, index: Any, own: Any) -> Any:
        phase = now.neuron_state.V
        theta = omega * phase
        a = weights[synapse][index] / neuron.r
        kicked = jnp.arctan2(jnp.sin(theta), jnp.cos(theta) - a * jnp.sin(theta)) / omega
        phase = jax.lax.cond(own, lambda: phase.at[index].set(0.0), lambda: kicked)
        return types.StepState(state(phase, now.neuron_state.I), now.time)

    def generator(
        populations: list[str], synapses: list[str], delays: dict[str, float], indices: Any, t_max: float, *_: Any
    ) -> Any:
        step = partial(
            stepping.step,
            partial(stepping.next_input, populations, dict(delays)),
            partial(stepping.min_delay_check, [], {}),
            flow,
            [partial(transition, name) for name in synapses],
            t_max,
            partial(next_event, to_spike),
        )
        return types.Population.Functions(
            init=lambda rng: None,
            state=lambda: types.StepState(state(phi0, jnp.zeros(size)), jnp.array(0.0)),
            step=step,
            event=lambda n: types.Spike.empty(n),
        )

    return types.Population(generator, {"size": size}, size, events)
