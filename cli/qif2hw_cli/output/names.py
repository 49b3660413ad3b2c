"""Names of files in what is printed, where users know them by others."""

_names: dict[str, str] = {}


def show(path: str, name: str) -> None:
    """From now on a path is printed as ``name``, also after the command: errors come at its end."""
    _names[path] = name


def shown(text: str) -> str:
    """A text as it is printed."""
    for path, name in _names.items():
        text = text.replace(path, name)
    return text
