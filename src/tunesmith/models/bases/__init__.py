"""Bases, the models to be tuned: from the catalogue, a folder, a GGUF file, the Hub, or new with random weights.

This module imports no model library; `resolve` and what it needs do.
"""

from tunesmith.models.bases.catalogue import EMBEDDED_BASE

__all__ = ["EMBEDDED_BASE"]
