"""The Processes of the graph for the chip, and their models for Lava's CPU simulator.

Lava's compiler executes every module of this folder again, by its path: absolute imports only, and nothing but
definitions.
"""
