"""One update of the parameters from a batch; on a CUDA device it is captured as a graph and replayed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]
"""The loss of images and their labels."""

WARM_UP = 3
"""Updates before the graph is captured: they compile kernels and allocate the optimiser's state."""


def optimizer_of(module: nn.Module, decay: float, device: torch.device) -> torch.optim.AdamW:
    """AdamW; weights decay, while biases, normalisation and the neurons' own parameters do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if device.type != "cuda":
        return torch.optim.AdamW(groups)
    for group in groups:
        group["lr"] = torch.tensor(0.0, device=device)
    return torch.optim.AdamW(groups, capturable=True)


class Update:
    """``update(x, label, rate)`` moves the parameters once and returns the loss.

    All batches have the same shape.
    """

    def __init__(self, loss: Loss, optimizer: torch.optim.Optimizer) -> None:
        self.loss, self.optimizer = loss, optimizer

    def __call__(self, x: Tensor, label: Tensor, rate: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return self._move(x, label)

    def _move(self, x: Tensor, label: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(x, label)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class CapturedUpdate(Update):
    """The same on a CUDA device: a graph of all kernels, launched at once."""

    def __init__(self, loss: Loss, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(loss, optimizer)
        self.done = 0
        self.stream = torch.cuda.Stream()

    def __call__(self, x: Tensor, label: Tensor, rate: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"].fill_(rate)
        if self.done < WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                loss = self._move(x, label)
            torch.cuda.current_stream().wait_stream(self.stream)
        else:
            if self.done == WARM_UP:
                self._capture(x, label)
            self.x.copy_(x)
            self.label.copy_(label)
            self.graph.replay()
            loss = self.result
        self.done += 1
        return loss

    def _capture(self, x: Tensor, label: Tensor) -> None:
        self.x, self.label, self.graph = x.clone(), label.clone(), torch.cuda.CUDAGraph()
        # Gradients that are there already would be added to: the graph's own must be new.
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.result = self._move(self.x, self.label)
