"""Stand-in: profilers that note their calls.

As in the extension, the runtime service calls them before and after a run, in its own process.  On the CPU it is
Lava's own service, which gets no callbacks: the builder of services hands them over here.
"""

import os
from collections.abc import Callable
from multiprocessing import SimpleQueue
from typing import Any

from lava.magma.compiler.builders.runtimeservice_builder import RuntimeServiceBuilder
from lava.magma.core.callback_fx import NxSdkCallbackFx
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal


class _Profiler(NxSdkCallbackFx):
    def __init__(self) -> None:
        self._calls: Any = SimpleQueue()
        self._called: list[list[Any]] = []

    def pre_run_callback(self, board: Any = None, var_id_to_var_model_map: Any = None) -> None:
        self._calls.put(["before", os.environ.get("PARTITION"), os.environ.get("LOIHI_GEN")])

    def post_run_callback(self, board: Any = None, var_id_to_var_model_map: Any = None) -> None:
        self._calls.put(["after", os.environ.get("PARTITION"), os.environ.get("LOIHI_GEN")])

    @property
    def calls(self) -> list[list[Any]]:
        while not self._calls.empty():
            self._called.append(self._calls.get())
        return self._called


class Loihi2Power(_Profiler):
    """Of a number of steps."""

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.steps = num_steps

    @property
    def total_power(self) -> float:
        raise RuntimeError("the board has no probes")


class Loihi2ExecutionTime(_Profiler):
    """Times."""


class Loihi2Memory(_Profiler):
    """Memory."""


class Loihi2Activity(_Profiler):
    """Counters."""


class _Port:
    """Lava's port of a service to the runtime, and the callbacks."""

    def __init__(self, port: Any, callbacks: list[Any]) -> None:
        self.port, self.callbacks = port, callbacks

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def start(self) -> None:
        self.port.start()
        for callback in self.callbacks:
            callback.pre_run_callback()

    def send(self, data: Any) -> None:
        if enum_equal(data, MGMT_RESPONSE.DONE):
            for callback in self.callbacks:
                callback.post_run_callback()
        self.port.send(data)


_build: Callable[[Any], Any] = RuntimeServiceBuilder.build


def _build_with_callbacks(self: Any) -> Any:
    service = _build(self)
    callbacks = self.rs_kwargs.get("callback_fxs", [])
    service.service_to_runtime = _Port(service.service_to_runtime, callbacks)
    return service


RuntimeServiceBuilder.build = _build_with_callbacks
