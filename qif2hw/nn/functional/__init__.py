"""Layers of QIF neurons as torch functions, one file for each kernel; `eager` is the plain twin of all of them."""
