"""Stand-in: the base class of models for neuro cores; what they do is not public."""

from lava.magma.core.model.model import AbstractProcessModel


class AbstractNcProcessModel(AbstractProcessModel):
    """A model for a neuro core."""
