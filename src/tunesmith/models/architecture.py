"""A base's architecture (decoder, encoder, or encoder-decoder) and its number of positions, read from its config."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from tunesmith.errors import DataError
from tunesmith.models.task_support import Architecture

DEFAULT_POSITIONS = 512
"""For a config without one: T5 has relative positions and was trained on 512 tokens (arXiv 1910.10683, section 3.1.1)."""


def architecture_of(folder: Path) -> Architecture:
    """The architecture of the base in a folder. An unreadable config counts as a decoder, whose loader reports the error."""
    try:
        return config_architecture(
            AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        )
    except (OSError, ValueError, KeyError):
        return "decoder"


def config_architecture(config: Any) -> Architecture:
    """An encoder is what transformers has a masked-language-model head for, unless the config sets `is_decoder`."""
    if config.is_encoder_decoder:
        return "encoder-decoder"
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False):
        return "encoder"
    return "decoder"


def check_is_language_model(folder: Path) -> None:
    """Raises DataError for a base that transformers has no language model for, e.g. a model of images.

    Reads the config alone, which must be readable (`loading.check_config`).
    """
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    if config_architecture(config) == "decoder" and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        what = f"a base of type {config.model_type} is not a language model that transformers can load"
        raise DataError(what, where="base", hint="set `base` to another model; `tunesmith base list` shows some")


def max_positions(model: Any, tokenizer: Any) -> int:
    """The most tokens that an encoder, or either side of an encoder-decoder, can take.

    That is the usable learned positions or the tokenizer's `model_max_length`, whichever is smaller. RoBERTa and its
    relatives number positions from behind the padding index, so their first ones are never used.
    """
    configured = (getattr(model.config, name, None) for name in ("max_position_embeddings", "n_positions"))
    positions = next((int(value) for value in configured if value), DEFAULT_POSITIONS)
    unused = max((_padding_offset(path, module) for path, module in model.named_modules()), default=0)
    return min(positions - unused, int(min(tokenizer.model_max_length, 2**31)))


def _padding_offset(path: str, module: nn.Module) -> int:
    if not path.endswith("position_embeddings") or not isinstance(module, nn.Embedding) or module.padding_idx is None:
        return 0
    return module.padding_idx + 1
