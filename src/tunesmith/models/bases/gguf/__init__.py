"""GGUF files as bases: parsed without running code, dequantised once, written as safetensors."""

from tunesmith.models.bases.gguf.convert import CONVERTER_VERSION, check_gguf, convert

__all__ = ["CONVERTER_VERSION", "check_gguf", "convert"]
