"""From hidden states to logits: the head, and what some families do to its output."""

from typing import Any

import torch
from torch import nn


def has_plain_head(model: Any) -> bool:
    """Whether logits are a plain product with one weight matrix: no bias, scale, soft cap or adapter on the head."""
    head = model.get_output_embeddings()
    return type(head) is nn.Linear and head.bias is None and _scale_and_softcap(model) == (1.0, None)


def head_logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """[S, D] hidden states to [S, V] logits as the model itself would give them, fp32 (fp64 for a model in fp64).

    `model` is transformers' causal LM.
    """
    logits = model.get_output_embeddings()(hidden)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    scale, cap = _scale_and_softcap(model)
    if scale != 1.0:
        logits = logits * scale
    return logits if cap is None else cap * torch.tanh(logits / cap)


def _scale_and_softcap(model: Any) -> tuple[float, float | None]:
    """(factor, soft cap) of the logits. Read in the model code of transformers 5.23: Cohere multiplies by `logit_scale`,
    Granite divides by `logits_scaling`, Gemma 2 caps. What is not read here (other families, other names) is caught by
    `check.check_packable`, which compares with the model's own logits."""
    config = model.config.get_text_config()
    factor = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return factor, None if cap is None else float(cap)
