"""Muon: momentum with orthogonalized updates."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
MUON_MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Momentum SGD whose updates are orthogonalized by five Newton-Schulz steps, in the precision of the weights.

    Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the published coefficients.
    torch.optim.Muon rounds the iteration to bf16, which is slow on CPUs; this one keeps fp32. Matrices are (out, in), those of
    `transposed` (in, out): the scale of an update depends on out / in.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        transposed: Sequence[nn.Parameter] = (),
    ) -> None:
        groups = [{"params": list(parameters), "transposed": False}, {"params": list(transposed), "transposed": True}]
        filled = [group for group in groups if group["params"]]
        torch.optim.Optimizer.__init__(self, filled, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update; tensors without a gradient keep their values."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                momentum.mul_(MUON_MOMENTUM).add_(weight.grad)
                nesterov = weight.grad + MUON_MOMENTUM * momentum
                update = orthogonalize(nesterov.T).T if group["transposed"] else orthogonalize(nesterov)
                weight.mul_(1.0 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])


def orthogonalize(matrix: torch.Tensor) -> torch.Tensor:
    """Approximately the nearest (semi-)orthogonal matrix of a matrix (m, n), times sqrt(max(1, m / n))."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    # Newton-Schulz converges for singular values of at most 1, which the Frobenius norm bounds.
    x = x / (x.norm() + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
    result: torch.Tensor = (x.T if tall else x) * scale
    return result
