"""Loihi 2: detection, resource mapping, cluster submission and estimates."""
