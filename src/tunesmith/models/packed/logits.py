"""From hidden states to logits: the output head, and the scale or soft cap that some families apply behind it."""

from typing import Any

import torch
from torch import nn


def has_plain_head(model: Any) -> bool:
    """Whether logits are a product with one weight matrix: no bias, scale, soft cap, or adapter on the head."""
    head = model.get_output_embeddings()
    return type(head) is nn.Linear and head.bias is None and _scale_and_softcap(model) == (1.0, None)


def head_logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [S, vocabulary] of hidden states [S, hidden], as the model itself computes them, in fp32 (fp64 if it is in fp64).

    `model` is a causal language model of transformers, without a PEFT wrapper.
    """
    logits = model.get_output_embeddings()(hidden)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    scale, cap = _scale_and_softcap(model)
    if scale != 1.0:
        logits = logits * scale
    return logits if cap is None else cap * torch.tanh(logits / cap)


def _scale_and_softcap(model: Any) -> tuple[float, float | None]:
    """(factor, soft cap) of the logits, from the config: Cohere multiplies by `logit_scale`, Granite divides by
    `logits_scaling`, Gemma 2 has a soft cap (model code of transformers 5.23).

    A family that does something else is caught by `exactness.check_packable`, which compares with the model's own logits.
    """
    config = model.config.get_text_config()
    factor = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return factor, None if cap is None else float(cap)
