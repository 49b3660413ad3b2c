"""The host's part of a model: inputs and outputs with names, units and ranges, encodings, formulas of the solution."""
