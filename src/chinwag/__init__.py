"""A calm terminal chat for any language model; the same engine as a Python library."""

__version__ = "0.1.0"
