"""One update of the parameters from a batch; on a CUDA device it is captured as a graph and replayed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from qif2hw.train.classify import processes

Loss = Callable[[Tensor, Tensor], Tensor]
"""The loss of images and their labels."""

WARM_UP = 3
"""Updates before the graph is captured: they compile kernels and allocate memory."""


def optimizer_of(module: nn.Module, decay: float, device: torch.device) -> torch.optim.AdamW:
    """AdamW; weights decay, while biases, normalisation and the neurons' own parameters do not."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    cuda = device.type == "cuda"
    groups: list[dict[str, Any]] = [
        {"params": chosen, "weight_decay": rate, "lr": torch.tensor(0.0, device=device) if cuda else 0.0}
        for chosen, rate in (
            ([p for p in parameters if p.ndim > 1], decay),
            ([p for p in parameters if p.ndim <= 1], 0.0),
        )
    ]
    optimizer = torch.optim.AdamW(groups, capturable=cuda)
    for p in parameters:
        optimizer.state[p] = {
            "step": torch.zeros((), device=device if cuda else "cpu"),
            "exp_avg": torch.zeros_like(p),
            "exp_avg_sq": torch.zeros_like(p),
        }
    return optimizer


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state, moments of the parameters' shapes and step counts, to be written and restored in place."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {f"{name}.{k}": t for k, p in enumerate(parameters) for name, t in optimizer.state[p].items()}


class Update:
    """``update(x, label, rate)`` moves the parameters once and returns the loss."""

    def __init__(self, module: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer) -> None:
        self.module, self.loss, self.optimizer = module, loss, optimizer

    def __call__(self, x: Tensor, label: Tensor, rate: float) -> Tensor:
        """Move the parameters at a learning rate; the loss before."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        return self._move(x, label)

    def _move(self, x: Tensor, label: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(x, label)
        loss.backward()
        processes.average_gradients(self.module)
        self.optimizer.step()
        return loss.detach()


class CapturedUpdate(Update):
    """The same on a CUDA device: a graph of all kernels, launched at once; all batches have the same shape."""

    def __init__(self, module: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(module, loss, optimizer)
        self.done = 0
        self.stream = torch.cuda.Stream()

    def _move(self, x: Tensor, label: Tensor) -> Tensor:
        self.done += 1
        if self.done <= WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                loss = super()._move(x, label)
            torch.cuda.current_stream().wait_stream(self.stream)
            return loss
        if self.done == WARM_UP + 1:
            self._capture(x, label)
        self.x.copy_(x)
        self.label.copy_(label)
        self.graph.replay()
        return self.result

    def _capture(self, x: Tensor, label: Tensor) -> None:
        self.x, self.label, self.graph = x.clone(), label.clone(), torch.cuda.CUDAGraph()
        # Gradients that are there already would be added to: the graph's own must be new.
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.result = super()._move(self.x, self.label)
