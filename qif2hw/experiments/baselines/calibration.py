"""Calibration of a converted network: biases and weights, layer by layer, so that it follows the ANN's activations."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from qif2hw.experiments.baselines.ann import Ann
from qif2hw.experiments.baselines.architecture import Rows
from qif2hw.experiments.baselines.conversion import Converted, SpikingChain, SpikingLayer
from qif2hw.train.optim.adam import FlatAdam

ITERATIONS = 400
"""Steps of Adam for each layer's weights."""

RATE = 3e-3
RIDGE = 1e-5
"""Added to the readout's normal equations, in units of their mean diagonal."""


def calibrate(converted: Converted, ann: Ann, rows: Rows, iterations: int = ITERATIONS) -> Converted:
    """Converted network with calibrated layers.

    In turn for every layer, with the spikes that the calibrated layers before it send: its bias takes up the mean
    difference of each neuron from the ANN's, then its weights and biases move by gradient descent towards the least
    square difference (the rounding is passed straight through), then the bias takes up what differs once its spikes are
    simulated.  The linear readout is the least squares solution.

    Parameters
    ----------
    converted
        What `qif2hw.experiments.baselines.conversion.convert` made of ``ann``.
    ann
        Whose activations are followed.
    rows
        Samples, a few hundred.
    iterations
        Of gradient descent for each layer.
    """
    chains = []
    for k, part in enumerate(rows.parts):
        z = ann.scaled(k, part)
        with torch.no_grad():
            *targets, features = (a.float() for a in ann.activations(k, z))
        chain = replace(converted.spiking_chains[k], layers=())
        for layer, target in zip(converted.spiking_chains[k].layers, targets, strict=True):
            signal = chain.signal(z.float(), converted.steps)
            chain = replace(chain, layers=(*chain.layers, _layer(layer, signal, target, converted.steps, iterations)))
        chains.append(_readout(chain, chain.signal(z.float(), converted.steps).mean(dim=0), features))
    return Converted(ann, tuple(chains), converted.steps)


def _layer(layer: SpikingLayer, signal: Tensor, target: Tensor, steps: int, iterations: int) -> SpikingLayer:
    mean = signal.mean(dim=0)
    layer = _bias(layer, signal, target, steps)
    weight, bias = (torch.nn.Parameter(p.clone()) for p in (layer.weight, layer.bias))
    optimizer = FlatAdam([[weight, bias]])
    least, best = math.inf, layer
    for step in range(iterations):
        current = mean @ weight.T + bias
        inside = torch.clamp(current, -layer.threshold, layer.threshold)
        rate = inside + (layer.rate(current.detach(), steps) - inside.detach())
        loss = (rate - target).square().mean()
        if float(loss.detach()) < least:
            least = float(loss.detach())
            best = replace(layer, weight=weight.detach().clone(), bias=bias.detach().clone())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step((RATE * 0.5 * (1 + math.cos(math.pi * step / iterations)),), 1.0)
    return _bias(best, signal, target, steps)


@torch.no_grad()
def _bias(layer: SpikingLayer, signal: Tensor, target: Tensor, steps: int) -> SpikingLayer:
    before = (layer.spikes(signal, steps).mean(dim=0) - target).square().mean(dim=0)
    shifted = replace(layer, bias=layer.bias + (target - layer.spikes(signal, steps).mean(dim=0)).mean(dim=0))
    after = (shifted.spikes(signal, steps).mean(dim=0) - target).square().mean(dim=0)
    return replace(layer, bias=torch.where(after < before, shifted.bias, layer.bias))


def _readout(chain: SpikingChain, mean: Tensor, features: Tensor) -> SpikingChain:
    columns = torch.cat([mean, torch.ones_like(mean[:, :1])], dim=1).double()
    square = columns.T @ columns
    square += RIDGE * float(square.diagonal().mean()) * torch.eye(len(square), dtype=torch.float64)
    # Towards the ANN's own readout where the samples say nothing.
    own = torch.cat([chain.weight, chain.bias[:, None]], dim=1).double()
    change = torch.linalg.solve(square, columns.T @ (features.double() - columns @ own.T)).T
    solution = (own + change).float()
    return replace(chain, weight=solution[:, :-1].contiguous(), bias=solution[:, -1].contiguous())
