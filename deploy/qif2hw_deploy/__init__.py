"""Loihi 2: whether one is within reach.  There is no adapter that runs a program on it yet."""
