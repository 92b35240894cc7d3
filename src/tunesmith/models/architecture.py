"""What shape a base has, read from its config: decoder, encoder, or encoder with decoder; and how many positions."""

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
"""T5's positions are relative; its authors trained it on 512 tokens (arXiv 1910.10683, section 3.1.1)."""


def architecture_of(folder: Path) -> Architecture:
    """The shape of the base in a folder, by its config; one that cannot be read counts as a decoder, whose loader says why."""
    try:
        return config_architecture(
            AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        )
    except (OSError, ValueError, KeyError):
        return "decoder"


def config_architecture(config: Any) -> Architecture:
    """What transformers has a masked-language-model head for is an encoder, unless the config says that it decodes."""
    if config.is_encoder_decoder:
        return "encoder-decoder"
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False):
        return "encoder"
    return "decoder"


def check_is_language_model(folder: Path) -> None:
    """Raises DataError for a base that is neither encoder nor encoder-decoder and that transformers has no language model for.

    By its config alone, e.g. of a model of images; the config has been read before.
    """
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    if config_architecture(config) == "decoder" and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        said = f"a base of type {config.model_type} is no language model that transformers loads for text"
        raise DataError(said, where="base", hint="give another base; `tunesmith base list` shows some")


def max_positions(model: Any, tokenizer: Any) -> int:
    """Tokens that an encoder, or either side of an encoder-decoder, can take: learned positions that are usable, or what the
    tokenizer was made for, whichever is fewer.

    RoBERTa and its relatives count positions from behind the padding index, so their first ones are never used.
    """
    named = (getattr(model.config, name, None) for name in ("max_position_embeddings", "n_positions"))
    stated = next((int(value) for value in named if value), DEFAULT_POSITIONS)
    skipped = max((_padding_offset(path, module) for path, module in model.named_modules()), default=0)
    return min(stated - skipped, int(min(tokenizer.model_max_length, 2**31)))


def _padding_offset(path: str, module: nn.Module) -> int:
    if not path.endswith("position_embeddings") or not isinstance(module, nn.Embedding) or module.padding_idx is None:
        return 0
    return module.padding_idx + 1
