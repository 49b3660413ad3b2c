"""Lava Processes for compiled networks, and the worker that runs them."""
