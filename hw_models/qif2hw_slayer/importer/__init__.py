"""Networks of SLAYER, as its ``export_hdf5`` writes them: this needs h5py alone, on any Python."""

from qif2hw_slayer.importer.network import import_network

__all__ = ["import_network"]
