"""Optimisers: AdamW for every tensor, or Muon for hidden matrices beside AdamW for the rest."""

from collections.abc import Callable
from typing import Any

from tunesmith import process
from tunesmith.recipe import TrainSettings

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
MUON_MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal by five Newton-Schulz steps, in the precision of the weights.

    Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), coefficients as published.
    torch.optim.Muon rounds the iteration to bfloat16, which two CPU cores compute slowly; this one keeps fp32.
    """

    def __init__(self, parameters: list[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        torch.optim.Optimizer.__init__(self, parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update; tensors without a gradient stay."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                momentum.mul_(MUON_MOMENTUM).add_(weight.grad)
                update = orthogonal(weight.grad + MUON_MOMENTUM * momentum)
                weight.mul_(1.0 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """[m, n] to the nearest (semi-)orthogonal matrix, roughly, scaled by sqrt(max(1, m / n))."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
    result: torch.Tensor = (x.T if tall else x) * scale
    return result


class Optimizers:
    """One or two torch optimisers behind one step; learning rates are shares of the recipe's."""

    def __init__(self, parts: list[tuple[torch.optim.Optimizer, float]]) -> None:
        self.parts = parts
        self.rate = 0.0

    def set_rate(self, rate: float) -> None:
        """The learning rate of the coming step."""
        self.rate = rate
        for optimizer, share in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = rate * share

    def step(self) -> None:
        for optimizer, _ in self.parts:
            optimizer.step()

    def zero_grad(self) -> None:
        for optimizer, _ in self.parts:
            optimizer.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The whole state, flat, for a checkpoint."""
        found: dict[str, torch.Tensor] = {}
        for part, (optimizer, _) in enumerate(self.parts):
            for index, entries in optimizer.state_dict()["state"].items():
                for name, value in entries.items():
                    found[f"{part}.{index}.{name}"] = value.detach().clone().contiguous()
        return found

    def restore(self, flat: dict[str, torch.Tensor]) -> None:
        """Put a state back, bit for bit."""
        states: list[dict[int, dict[str, Any]]] = [{} for _ in self.parts]
        for key, value in flat.items():
            part, index, name = key.split(".")
            states[int(part)].setdefault(int(index), {})[name] = value
        for (optimizer, _), state in zip(self.parts, states, strict=True):
            contents = optimizer.state_dict()
            contents["state"] = state
            optimizer.load_state_dict(contents)


def build_optimizer(model: nn.Module, settings: TrainSettings) -> Optimizers:
    """The optimiser of the recipe. With Muon, AdamW's rate for the other tensors is `adamw_share` of the recipe's."""
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    if settings.optimizer == "adamw":
        return Optimizers([(_adamw([value for _, value in named], settings), 1.0)])
    hidden = [value for name, value in named if value.ndim == 2 and not _is_vocabulary(name)]
    rest = [value for name, value in named if value.ndim != 2 or _is_vocabulary(name)]
    muon = Muon(hidden, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    others = [(_adamw(rest, settings), settings.adamw_share)] if rest else []
    return Optimizers([(muon, 1.0), *others])


def _is_vocabulary(name: str) -> bool:
    return "embed" in name or "lm_head" in name


def _adamw(values: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    """Weight decay on matrices alone, not on norms and biases."""
    groups: list[dict[str, Any]] = [
        {"params": [value for value in values if value.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [value for value in values if value.ndim < 2], "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    return torch.optim.AdamW(filled, lr=settings.learning_rate, betas=(0.9, settings.beta2), fused=True)
