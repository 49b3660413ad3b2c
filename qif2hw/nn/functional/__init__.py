"""Layers of QIF neurons as torch functions; `dense` is the compiled one, `eager` the plain twin of all."""
