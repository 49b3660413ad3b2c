"""The Processes and their models.

Lava's compiler executes every module of this folder again, by its path, for every Process in it, and skips with a
warning what it cannot execute: absolute imports only, and nothing but definitions.
"""
