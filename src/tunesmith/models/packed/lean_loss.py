"""Cross-entropy behind a plain head whose gradients are taken while the logits are there, slice by slice.

The loss is a sum, so the gradient of the hidden states is known up to one factor as soon as a slice of logits is. Taken then,
logits need neither be kept nor computed again (as in Liger-Kernel, Hsu et al. 2024, arXiv 2410.10989): two matrix products a
token under a frozen head instead of three, three instead of four where the head trains.
"""

from typing import Any

import torch


def lean_loss(
    hidden: torch.Tensor,
    head: torch.Tensor,
    labels: torch.Tensor,
    *,
    weights: torch.Tensor,
    smoothing: float,
    rows: int,
) -> torch.Tensor:
    """Weighted sum of cross-entropy (nats, fp32; fp64 for hidden states in fp64) of hidden [S, D] under head [V, D].

    `weights` [S] are those of the pairs, `smoothing` is label smoothing, `rows` the tokens of a slice of logits. The gradient of
    the head is summed over slices in fp32.
    """
    given = (hidden, head, labels, weights, smoothing, rows, torch.is_grad_enabled())
    total: torch.Tensor = _LossFunction.apply(*given)  # type: ignore[no-untyped-call]
    return total


class _LossFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        hidden, head, labels, weights, smoothing, rows, moving = given
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=hidden.device)
        of_hidden = torch.empty_like(hidden) if moving and ctx.needs_input_grad[0] else None
        of_head = torch.zeros_like(head, dtype=wide) if moving and ctx.needs_input_grad[1] else None
        for start in range(0, len(hidden), rows):
            one = slice(start, start + rows)
            part, weight = hidden[one], weights[one].to(wide)
            logs = torch.log_softmax(part @ head.t(), dim=-1, dtype=wide)
            each = logs.gather(1, labels[one, None])[:, 0] * (smoothing - 1.0)
            if smoothing:
                each = each - smoothing * logs.mean(-1)
            total += each @ weight
            if of_hidden is None and of_head is None:
                continue
            slope = _logits_gradient(logs, labels[one], weight, smoothing).to(hidden.dtype)
            if of_hidden is not None:
                torch.mm(slope, head, out=of_hidden[one])
            if of_head is not None:
                _add_product(of_head, slope.t(), part)
        ctx.save_for_backward(of_hidden, of_head)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_hidden, of_head = ctx.saved_tensors
        (grad,) = grads
        hidden = None if of_hidden is None else of_hidden * grad.to(of_hidden.dtype)
        return hidden, None if of_head is None else of_head * grad, None, None, None, None, None


def _add_product(total: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> None:
    if total.dtype == one.dtype:
        total.addmm_(one, other)
    else:
        total += one @ other


def _logits_gradient(logs: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Gradient of the logits, in the place of their log-softmax."""
    slope = logs.exp_()
    slope.scatter_add_(1, labels[:, None], slope.new_full((len(slope), 1), smoothing - 1.0))
    if smoothing:
        slope.sub_(smoothing / slope.shape[1])
    return slope.mul_(weight[:, None])
