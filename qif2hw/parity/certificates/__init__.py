"""Certificates: how far each spike and result of the engine can be off, why, and over which inputs."""
