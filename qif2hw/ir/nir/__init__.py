"""The Neuromorphic Intermediate Representation (NIR): graphs of other frameworks in, networks out."""

from qif2hw.ir.nir.read import import_network
from qif2hw.ir.nir.write import save, to_graph

__all__ = ["import_network", "save", "to_graph"]
