"""GGUF files as bases: read as data, dequantised once, written as safetensors."""

from tunesmith.models.bases.gguf.convert import CONVERTER, check, convert

__all__ = ["CONVERTER", "check", "convert"]
