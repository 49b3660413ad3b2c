"""Optimisers for networks of a few thousand parameters."""
