"""Bases: where a model to be tuned comes from. The embedded one, a folder, the Hub, or nothing at all."""

from tunesmith.models.bases.resolve import EMBEDDED, resolve_base

__all__ = ["EMBEDDED", "resolve_base"]
