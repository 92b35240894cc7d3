"""The transformers config of a GGUF file, for the supported model families."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy

from tunesmith.errors import DataError
from tunesmith.models.bases.gguf.header import Header

MODEL_CLASSES: Final = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
OTHER_FORMAT_HINT: Final = (
    "use the base as safetensors: a folder, a name of `tunesmith base list`, or a Hub id with its revision"
)

ROPE_FACTORS: Final = "rope_freqs.weight"
LLAMA3_FACTORS: Final = (8.0, 16.0, 32.0)
"""Scaling factors of the published Llama 3.1 to 3.3 models, all with low 1, high 4 and 8,192 original positions."""


def transformers_config(header: Header, where: str) -> dict[str, Any]:
    """config.json for transformers, without token ids. Raises DataError for unsupported models and missing or invalid keys."""
    family = header.keys.get("general.architecture")
    if family not in MODEL_CLASSES:
        supported = ", ".join(MODEL_CLASSES)
        raise DataError(
            f"GGUF of architecture {family!r} is not supported (supported: {supported})",
            where=where,
            hint=OTHER_FORMAT_HINT,
        )
    keys = _FamilyKeys(header, str(family), where)
    keys.refuse_unsupported()
    heads = keys.count("attention.head_count")
    hidden = keys.count("embedding_length")
    head_size = keys.count("attention.key_length", hidden // heads)
    if head_size % 2 or (family == "qwen2" and heads * head_size != hidden):
        raise DataError(
            f"{heads} heads of size {head_size} do not fit a {family} model", where=where, hint=OTHER_FORMAT_HINT
        )
    if keys.count("rope.dimension_count", head_size) != head_size:
        what = f"partial rotary embeddings (less than the head size {head_size}) are not supported"
        raise DataError(what, where=where, hint=OTHER_FORMAT_HINT)
    config: dict[str, Any] = {
        "architectures": [MODEL_CLASSES[family]],
        "model_type": family,
        "vocab_size": header.tensors["token_embd.weight"].shape[0],
        "hidden_size": hidden,
        "intermediate_size": keys.count("feed_forward_length"),
        "num_hidden_layers": keys.layers(),
        "num_attention_heads": heads,
        "num_key_value_heads": keys.count("attention.head_count_kv", heads),
        "head_dim": head_size,
        "max_position_embeddings": keys.count("context_length"),
        "rms_norm_eps": keys.number("attention.layer_norm_rms_epsilon"),
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "rope_parameters": {"rope_theta": keys.number("rope.freq_base", 10_000.0), "rope_type": "default"},
        "tie_word_embeddings": "output.weight" not in header.tensors,
        "use_cache": True,
        "dtype": "bfloat16",
    }
    if family == "llama":
        config["mlp_bias"] = False
    if family == "qwen2":
        del config["attention_bias"]
    if heads % config["num_key_value_heads"]:
        what = f"{heads} heads is not a multiple of {config['num_key_value_heads']} key heads"
        raise DataError(what, where=where, hint=OTHER_FORMAT_HINT)
    return config


class _FamilyKeys:
    """Typed access to the metadata keys of one model family."""

    def __init__(self, header: Header, family: str, where: str) -> None:
        self.header, self.family, self.where = header, family, where

    def refuse_unsupported(self) -> None:
        if "token_embd.weight" not in self.header.tensors or len(self.header.tensors["token_embd.weight"].shape) != 2:
            raise DataError("the file has no embeddings (token_embd.weight)", where=self.where, hint=OTHER_FORMAT_HINT)
        if self.header.keys.get(f"{self.family}.expert_count", 0):
            raise DataError(
                "mixture-of-experts models are not supported as GGUF", where=self.where, hint=OTHER_FORMAT_HINT
            )
        scaling = self.header.keys.get(f"{self.family}.rope.scaling.type", "none")
        if scaling != "none":
            raise DataError(
                f"rope scaling of type {scaling} is not supported", where=self.where, hint=OTHER_FORMAT_HINT
            )

    def count(self, name: str, default: int | None = None) -> int:
        value = self.header.keys.get(f"{self.family}.{name}", default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
            raise DataError(
                f"{self.family}.{name} is {value!r}, not a positive integer", where=self.where, hint=OTHER_FORMAT_HINT
            )
        return value

    def layers(self) -> int:
        """Number of layers. Raises DataError for more layers than the file has tensors."""
        layers = self.count("block_count")
        if layers > len(self.header.tensors):
            what = f"{layers:,} layers are declared, but the file has {len(self.header.tensors)} tensors"
            raise DataError(what, where=self.where, hint=OTHER_FORMAT_HINT)
        return layers

    def number(self, name: str, default: float | None = None) -> float:
        """A float with the fewest digits that give the same fp32 value: 1e-05 instead of 9.999999747378752e-06."""
        value = self.header.keys.get(f"{self.family}.{name}", default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise DataError(
                f"{self.family}.{name} is {value!r}, not a positive number", where=self.where, hint=OTHER_FORMAT_HINT
            )
        return float(str(numpy.float32(value)))


def llama3_rope_parameters(factors: Sequence[float], config: dict[str, Any], where: str) -> dict[str, Any]:
    """`rope_parameters` of Llama 3.1 and later that give these divisors of the rotary frequencies.

    The file holds the divisors, not the parameters, so the published parameters are tried one by one (formula: transformers,
    `_compute_llama3_parameters`). Raises DataError if none of them fits.
    """
    theta, width = float(config["rope_parameters"]["rope_theta"]), int(config["head_dim"])
    expected = numpy.asarray(factors, dtype=numpy.float64)
    for factor in LLAMA3_FACTORS:
        divisors = _llama3_divisors(theta, width, factor)
        if divisors.shape == expected.shape and numpy.allclose(divisors, expected, rtol=1e-4, atol=0.0):
            return {
                "rope_theta": theta,
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            }
    raise DataError(f"{ROPE_FACTORS} does not match any published rope scaling", where=where, hint=OTHER_FORMAT_HINT)


def _llama3_divisors(theta: float, width: int, factor: float) -> Any:
    low, high, original = 1.0, 4.0, 8192.0
    waves = 2 * math.pi * theta ** (numpy.arange(0, width, 2, dtype=numpy.float64) / width)
    blend = (original / waves - low) / (high - low)
    smooth = 1 / ((1 - blend) / factor + blend)
    return numpy.where(waves < original / high, 1.0, numpy.where(waves > original / low, factor, smooth))
