"""Passes of networks with a stepped clock, one file each."""
