"""An embedding that adds its gradient row by row to one tensor, instead of a whole new one in every backward pass.

PyTorch makes a dense [vocabulary, hidden] gradient in each backward pass, mostly zeros, and a step of several batches adds
them up. Here the gradient is one tensor for all steps, zeroed between them.
"""

from typing import Any, TypeGuard

import torch
from torch import nn


class LeanEmbedding:
    """The forward of one `nn.Embedding` whose weight trains. `gradient` is its memory, reused by every step."""

    def __init__(self, module: nn.Embedding) -> None:
        self.module = module
        self.gradient: torch.Tensor | None = None

    def __call__(self, input: torch.Tensor) -> torch.Tensor:
        weight = self.module.weight
        if not (weight.requires_grad and torch.is_grad_enabled()):
            return type(self.module).forward(self.module, input)
        out: torch.Tensor = _EmbeddingFunction.apply(weight, input, self)  # type: ignore[no-untyped-call]
        return out

    def add_gradient(self, ids: torch.Tensor, grad: torch.Tensor) -> None:
        """Add `grad` [N, hidden] to the gradient's rows `ids` [N], in the order of the tokens."""
        weight = self.module.weight
        if weight.grad is None:  # the first batch of a step
            self.gradient = torch.zeros_like(weight) if self.gradient is None else self.gradient.zero_()
            weight.grad = self.gradient
        if self.module.padding_idx is not None:
            is_token = ids != self.module.padding_idx
            ids, grad = ids[is_token], grad[is_token]
        weight.grad.index_add_(0, ids, grad)


def is_plain_embedding(module: nn.Module) -> TypeGuard[nn.Embedding]:
    """Whether a module is a trainable fp32 embedding without special options, and without hooks on its weight."""
    return (
        type(module) is nn.Embedding
        and module.weight.requires_grad
        and module.weight.dtype == torch.float32
        and module.max_norm is None
        and not module.scale_grad_by_freq
        and not module.sparse
        and not module.weight._backward_hooks
        and not module.weight._post_accumulate_grad_hooks
    )


class _EmbeddingFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> torch.Tensor:
        weight, ids, embedding = args
        ctx.save_for_backward(ids)
        ctx.embedding = embedding
        out: torch.Tensor = weight[ids]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        (grad,) = grads
        ctx.embedding.add_gradient(ids.flatten(), grad.flatten(0, -2))
        return None, None, None  # autograd must not add it once more
