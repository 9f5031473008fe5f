"""Spectral targeted masking for hyperspectral water colour, and microcystin from it (arXiv 2603.22097)."""

__version__ = "0.1.0"
