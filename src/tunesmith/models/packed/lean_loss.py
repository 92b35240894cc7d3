"""Cross-entropy under a plain head that takes its gradients while a chunk of logits exists.

The loss is a sum, so the gradient of the hidden states is known up to one factor as soon as a chunk of logits is. Logits are
then neither kept nor recomputed (as in Liger-Kernel, Hsu et al. 2024, arXiv 2410.10989): two matrix products per token under a
frozen head instead of three, three instead of four where the head trains.
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
    tokens_per_chunk: int,
) -> torch.Tensor:
    """Weighted sum of cross-entropy (nats) of hidden [S, hidden] under head [vocabulary, hidden], for labels and weights [S].

    Returns fp32 (fp64 if `hidden` is fp64). `smoothing` is label smoothing. The gradient of the head is summed over chunks in
    the same precision. The chunk size that training uses is set in loss.py.
    """
    args = (hidden, head, labels, weights, smoothing, tokens_per_chunk, torch.is_grad_enabled())
    total: torch.Tensor = _LossFunction.apply(*args)  # type: ignore[no-untyped-call]
    return total


class _LossFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> torch.Tensor:
        hidden, head, labels, weights, smoothing, tokens_per_chunk, grad_enabled = args
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if grad_enabled and ctx.needs_input_grad[0] else None
        grad_head = torch.zeros_like(head, dtype=wide) if grad_enabled and ctx.needs_input_grad[1] else None
        for start in range(0, len(hidden), tokens_per_chunk):
            chunk = slice(start, start + tokens_per_chunk)
            states, weight = hidden[chunk], weights[chunk].to(wide)
            logprobs = torch.log_softmax(states @ head.t(), dim=-1, dtype=wide)  # (chunk, vocabulary)
            losses = logprobs.gather(1, labels[chunk, None])[:, 0] * (smoothing - 1.0)
            if smoothing:
                losses = losses - smoothing * logprobs.mean(-1)
            total += losses @ weight
            if grad_hidden is None and grad_head is None:
                continue
            grad_logits = _logits_gradient(logprobs, labels[chunk], weight, smoothing).to(hidden.dtype)
            if grad_hidden is not None:
                torch.mm(grad_logits, head, out=grad_hidden[chunk])
            if grad_head is not None:
                _add_product(grad_head, grad_logits.t(), states)
        ctx.save_for_backward(grad_hidden, grad_head)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad_hidden, grad_head = ctx.saved_tensors
        (grad,) = grads
        of_hidden = None if grad_hidden is None else grad_hidden * grad.to(grad_hidden.dtype)
        return of_hidden, None if grad_head is None else grad_head * grad, None, None, None, None, None


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add a matrix product in place, in the precision of `total`."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _logits_gradient(
    logprobs: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """Gradient of the logits [chunk, vocabulary]; overwrites `logprobs`."""
    grad = logprobs.exp_()
    grad.scatter_add_(1, labels[:, None], grad.new_full((len(grad), 1), smoothing - 1.0))
    if smoothing:
        grad.sub_(smoothing / grad.shape[1])
    return grad.mul_(weight[:, None])
