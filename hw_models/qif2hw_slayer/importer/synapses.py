"""Synapses of SLAYER's layers as those of a projection, with their weights."""

from dataclasses import dataclass

import numpy as np

from qif2hw.errors import InputError
from qif2hw.ir import Conv2d
from qif2hw.ir.arrays import FloatArray
from qif2hw.ir.synapses import NOT_GIVEN, AnySynapses
from qif2hw_slayer.importer.hdf5 import Layer

Shape = tuple[int, ...]
_WINDOW = ("stride", "padding", "dilation")


@dataclass(frozen=True)
class Made:
    """What a layer adds to the graph: the shape of its neurons, weights, and which synapses they belong to."""

    shape: Shape
    weight: FloatArray
    synapses: AnySynapses


def synapses_of(layer: Layer, given: Shape) -> Made:
    """Synapses of a layer that is given a shape: channels, height and width, or neurons.

    Raises
    ------
    InputError
        If shapes do not fit together, or it is a pooling that SLAYER does across channels.
    """
    made = _KINDS[layer.kind](layer, given)
    if layer.shape is not None and np.prod(layer.shape) != np.prod(made.shape):
        raise InputError(f"{layer}: its shape is {layer.shape}, its weights make {made.shape}")
    return made


def _dense(layer: Layer, given: Shape) -> Made:
    weight, inputs = layer.whole("weight"), int(np.prod(given))
    post = weight.shape[0] if weight.ndim > 1 or layer.shape is None else int(np.prod(layer.shape))
    if weight.ndim == 0 or weight.size != post * inputs:
        raise InputError(f"{layer}: its weights have shape {weight.shape}, {inputs} inputs reach it")
    return Made((post,), weight.reshape(post, inputs), NOT_GIVEN)


def _convolution(layer: Layer, given: Shape) -> Made:
    weight = layer.whole("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4:
        raise InputError(f"{layer}: its weights have shape {weight.shape}, (out, in, height, width) is needed")
    image = _image(layer, given)
    window = {key: _pair(layer, key) for key in _WINDOW}
    try:
        synapses = Conv2d(
            image, weight.shape[0], _pair(layer, "kernelSize"), **window, groups=int(layer.single("groups", 1))
        )
        synapses.check(weight, "its kernel")
    except InputError as error:
        raise InputError(f"{layer}: {error}") from None
    return Made(synapses.out_shape, weight, synapses)


def _pooling(layer: Layer, given: Shape) -> Made:
    """SLAYER stacks the channels on top of each other and slides one kernel: only whole windows keep them apart."""
    channels, height, width = _image(layer, given)
    weight = layer.whole("weight")
    kernel = _pair(layer, "kernelSize")
    window = {key: _pair(layer, key) for key in _WINDOW}
    if weight.size != kernel[0] * kernel[1]:
        raise InputError(f"{layer}: its weights have shape {weight.shape}, its kernel is {kernel}")
    if window["stride"] != kernel or window["padding"] != (0, 0) or window["dilation"] != (1, 1):
        raise InputError(f"{layer}: pooling whose stride is not its kernel, padded or dilated, is not supported")
    if height % kernel[0] or width % kernel[1]:
        raise InputError(f"{layer}: windows of {kernel} do not tile an image of {height} x {width}: not supported")
    synapses = Conv2d((channels, height, width), channels, kernel, kernel, groups=channels)
    return Made(synapses.out_shape, np.broadcast_to(weight.reshape(kernel), synapses.weight_shape), synapses)


def _image(layer: Layer, given: Shape) -> tuple[int, int, int]:
    if len(given) != 3:
        raise InputError(f"{layer}: it needs an image (channels, height, width), it is given a shape {given}")
    return given[0], given[1], given[2]


def _pair(layer: Layer, key: str) -> tuple[int, int]:
    """Vertical and horizontal, given as one number or two."""
    value = layer.whole(key).ravel()
    if value.size not in (1, 2):
        raise InputError(f"{layer}: '{key}' has {value.size} values, two are needed")
    return int(value[0]), int(value[-1])


_KINDS = {"dense": _dense, "conv": _convolution, "pool": _pooling}
