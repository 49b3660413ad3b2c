"""What the library tells about its work to whoever wants to hear it."""

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def on_compiling(listener: Callable[[str], None]) -> None:
    """Have ``listener`` called with the name of each kernel that is about to be compiled."""
    if listener not in _listeners:
        _listeners.append(listener)


def compiling(kernel: str) -> None:
    """Tell that no machine code of a kernel is kept, so that it is compiled now."""
    for listener in _listeners:
        listener(kernel)
