"""lava-dl: the QIF neuron in steps for SLAYER, written to HDF5, and known to netx."""
