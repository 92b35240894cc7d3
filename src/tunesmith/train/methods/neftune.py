"""NEFTune: uniform noise on the embeddings of the training rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tunesmith.errors import Misuse
from tunesmith.models.packed import unwrap_peft


@contextmanager
def embedding_noise(model: Any, alpha: float, lengths: Sequence[int]) -> Iterator[None]:
    """While the block runs, add uniform noise of at most alpha / sqrt(L D) to the embeddings (1, T, D) of a micro-batch, where L
    is the length of the token's row.

    `lengths` are the lengths of the rows, in order, without prefix sharing; they sum to T. Noise is added in training mode
    only, and the hook is removed at the end. It is drawn from torch's default generator of the device, so equal seeds give
    equal noise; with alpha 0 nothing is drawn.

    Source: Jain et al. 2023, arXiv 2310.05914, algorithm 1. Raises Misuse when the lengths do not sum to T.
    """
    if alpha == 0:
        yield
        return

    def add(module: nn.Module, _: Any, embedded: torch.Tensor) -> torch.Tensor:
        return embedded + _noise(embedded, alpha, lengths) if module.training else embedded

    handle = unwrap_peft(model).get_input_embeddings().register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _noise(embedded: torch.Tensor, alpha: float, lengths: Sequence[int]) -> torch.Tensor:
    """Noise (1, T, D), drawn in fp32 and rounded to the precision of the embeddings."""
    if embedded.shape[:2] != (1, sum(lengths)):
        what = f"{tuple(embedded.shape[:2])} embeddings, rows of {sum(lengths)} tokens"
        raise Misuse(f"noise is drawn row by row: {what}", hint="rows cannot share a prefix under neftune")
    rows = torch.tensor(lengths)
    # (T,): the bound of every token, from the length of its row.
    bounds = (alpha / (rows * embedded.shape[2]).sqrt()).repeat_interleave(rows)
    drawn = torch.empty(embedded.shape, dtype=torch.float32, device=embedded.device).uniform_(-1.0, 1.0)
    return (drawn * bounds.to(embedded.device)[:, None]).to(embedded.dtype)
