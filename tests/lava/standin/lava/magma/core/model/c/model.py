"""Stand-in: the name that Lava's run configurations import."""

from lava.magma.core.model.model import AbstractProcessModel


class CLoihiProcessModel(AbstractProcessModel):
    """No Process here has one."""
