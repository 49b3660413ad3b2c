"""Data sets as numpy arrays; nothing here downloads."""

from qif2hw.data.images import Images, Split, digits, fashion_mnist, open_images

__all__ = ["Images", "Split", "digits", "fashion_mnist", "open_images"]
