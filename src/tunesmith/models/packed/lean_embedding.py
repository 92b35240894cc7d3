"""An embedding whose gradient is added where it is kept, row by row, instead of being made whole in every pass.

torch makes a dense gradient of [V, D] zeros in each backward pass, of which a pass fills as many rows as it has tokens; a step
of several passes then adds them up. Here the gradient of a step is one tensor, made once and emptied between steps.
"""

from typing import Any, TypeGuard

import torch
from torch import nn


class LeanEmbedding:
    """The forward of one `nn.Embedding` whose weight trains. `kept` is the gradient's memory, used again by every step."""

    def __init__(self, module: nn.Embedding) -> None:
        self.module = module
        self.kept: torch.Tensor | None = None

    def __call__(self, input: torch.Tensor) -> torch.Tensor:
        weight = self.module.weight
        if not (weight.requires_grad and torch.is_grad_enabled()):
            return type(self.module).forward(self.module, input)
        out: torch.Tensor = _EmbeddingFunction.apply(weight, input, self)  # type: ignore[no-untyped-call]
        return out

    def add(self, ids: torch.Tensor, grad: torch.Tensor) -> None:
        """Add the gradients of tokens, [N, D], to those of their rows, in the order of the tokens."""
        weight = self.module.weight
        if weight.grad is None:
            self.kept = torch.zeros_like(weight) if self.kept is None else self.kept.zero_()
            weight.grad = self.kept
        if self.module.padding_idx is not None:
            real = ids != self.module.padding_idx
            ids, grad = ids[real], grad[real]
        weight.grad.index_add_(0, ids, grad)


def is_plain_embedding(module: nn.Module) -> TypeGuard[nn.Embedding]:
    """Whether a module is an embedding with nothing special, whose weight nobody else watches."""
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
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        weight, ids, keeper = given
        ctx.save_for_backward(ids)
        ctx.keeper = keeper
        out: torch.Tensor = weight[ids]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        (grad,) = grads
        ctx.keeper.add(ids.flatten(), grad.flatten(0, -2))
        return None, None, None
