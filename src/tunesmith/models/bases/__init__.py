"""Bases: where a model to be tuned comes from. The catalogue, a folder, a GGUF file, the Hub, or nothing at all.

Light: `resolve` and what it needs load the model libraries.
"""

from tunesmith.models.bases.catalogue import EMBEDDED_BASE

__all__ = ["EMBEDDED_BASE"]
