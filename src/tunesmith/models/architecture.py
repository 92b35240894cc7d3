"""What shape a base has, read from its config: decoder, encoder, or encoder with decoder; and how many positions."""

from pathlib import Path
from typing import Any, Literal

from tunesmith import process

process.prepare()

from torch import nn  # noqa: E402
from transformers import AutoConfig  # noqa: E402
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES  # noqa: E402

Architecture = Literal["decoder", "encoder", "encoder-decoder"]

UNSTATED_POSITIONS = 512
"""T5's positions are relative; its authors trained it on 512 tokens (arXiv 1910.10683, section 3.1.1)."""


def architecture_of(folder: Path) -> Architecture:
    """The shape of the base in a folder, by its config; one that cannot be read counts as a decoder, whose loader says why."""
    try:
        return shape_of(AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True))
    except (OSError, ValueError, KeyError):
        return "decoder"


def shape_of(config: Any) -> Architecture:
    """What transformers has a masked-language-model head for is an encoder, unless the config says that it decodes."""
    if config.is_encoder_decoder:
        return "encoder-decoder"
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False):
        return "encoder"
    return "decoder"


def positions_of(model: Any, tokenizer: Any) -> int:
    """Tokens that an encoder, or either side of an encoder-decoder, can take: learned positions that are usable, or what the
    tokenizer was made for, whichever is fewer.

    RoBERTa and its relatives count positions from behind the padding index, so their first ones are never used.
    """
    named = (getattr(model.config, name, None) for name in ("max_position_embeddings", "n_positions"))
    stated = next((int(value) for value in named if value), UNSTATED_POSITIONS)
    skipped = max((_skipped(path, module) for path, module in model.named_modules()), default=0)
    return min(stated - skipped, int(min(tokenizer.model_max_length, 2**31)))


def _skipped(path: str, module: nn.Module) -> int:
    if not path.endswith("position_embeddings") or not isinstance(module, nn.Embedding) or module.padding_idx is None:
        return 0
    return module.padding_idx + 1
