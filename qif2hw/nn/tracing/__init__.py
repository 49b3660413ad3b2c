"""From traced torch modules to stepped networks."""

from qif2hw.nn.tracing.export import export

__all__ = ["export"]
