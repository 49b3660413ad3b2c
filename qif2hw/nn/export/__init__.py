"""Export of torch modules as stepped networks."""

from qif2hw.nn.export.trace import export

__all__ = ["export"]
