"""Extension of griffe, which reads docstrings for the site: parameters described together keep types of their own.

Of ``x, y`` above one description griffe gives all the type and the default of the first.
"""

from typing import Any

import griffe


class OwnTypes(griffe.Extension):
    """Give each parameter of a docstring the type and the default of its own."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Walk all of a package, once it is loaded."""
        _walk(pkg)


def _walk(thing: griffe.Module | griffe.Class) -> None:
    for member in thing.members.values():
        if isinstance(member, griffe.Class | griffe.Function) and member.docstring is not None:
            own = member.parameters
            for section in member.docstring.parsed:
                if isinstance(section, griffe.DocstringSectionParameters):
                    for shown in section.value:
                        if shown.name in own:
                            shown.annotation, shown.value = own[shown.name].annotation, own[shown.name].default
        if isinstance(member, griffe.Module | griffe.Class):
            _walk(member)
