"""One or two torch optimizers behind a single `step`, with fp32 master weights and a flat state for checkpoints.

A half-precision weight has an fp32 master. Updates are applied to the master, and the weight is the rounded master: bf16 has 8
bits of precision, so an update smaller than about 1/250 of a weight, as nearly all of AdamW's are, would round to nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import nn

MASTER_KEY: Final = "master"


def fp32_master(value: nn.Parameter) -> nn.Parameter:
    """The tensor that an optimizer updates for `value`: the fp32 parameter itself, or an fp32 copy of a half-precision one."""
    return value if value.dtype == torch.float32 else nn.Parameter(value.detach().float())


class Optimizers:
    """Torch optimizers that step together, each at a factor of the recipe's learning rate.

    `parts`: optimizers with their factor. `masters`: pairs of a model weight and the fp32 copy that is updated in its place.
    """

    def __init__(
        self,
        parts: list[tuple[torch.optim.Optimizer, float]],
        masters: Sequence[tuple[torch.Tensor, torch.Tensor]] = (),
    ) -> None:
        self.parts = parts
        self.masters = tuple(masters)
        self.rate = 0.0

    def master_for(self, value: torch.Tensor) -> torch.Tensor:
        """The tensor that is updated for a weight of the model: its master, or the weight itself."""
        return next((master for weight, master in self.masters if weight is value), value)

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next step."""
        self.rate = rate
        for optimizer, share in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = rate * share

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients of the model's weights; a weight without a gradient keeps its value."""
        for weight, master in self.masters:
            master.grad = None if weight.grad is None else weight.grad.float()
        for optimizer, _ in self.parts:
            optimizer.step()
        for weight, master in self.masters:
            weight.copy_(master)
            master.grad = None

    def zero_grad(self) -> None:
        for optimizer, _ in self.parts:
            optimizer.zero_grad(set_to_none=True)
        for weight, _ in self.masters:
            weight.grad = None

    def tensors(self) -> dict[str, torch.Tensor]:
        """The whole state by `part.index.name`, for a checkpoint. A step count kept as an int becomes a scalar int64 tensor."""
        state: dict[str, torch.Tensor] = {}
        for (part, index), master in self._masters_by_index().items():
            state[f"{part}.{index}.{MASTER_KEY}"] = master.detach().clone().contiguous()
        for part, (optimizer, _) in enumerate(self.parts):
            for index, entries in optimizer.state_dict()["state"].items():
                for name, value in _flat_state(entries):
                    state[f"{part}.{index}.{name}"] = torch.as_tensor(value).detach().clone().contiguous()
        return state

    def restore(self, flat: dict[str, torch.Tensor]) -> None:
        """Restore a state from `tensors`, bit for bit."""
        states: list[dict[int, dict[str, Any]]] = [{} for _ in self.parts]
        for key, value in flat.items():
            part, index, name = key.split(".")
            if name == MASTER_KEY:
                with torch.no_grad():
                    self._masters_by_index()[int(part), int(index)].copy_(value)
                continue
            # bitsandbytes counts steps in an int, torch's own optimizers in an fp32 tensor.
            count = value.ndim == 0 and value.dtype == torch.int64
            states[int(part)].setdefault(int(index), {})[name] = int(value) if count else value
        for (optimizer, _), state in zip(self.parts, states, strict=True):
            contents = optimizer.state_dict()
            contents["state"] = state
            optimizer.load_state_dict(contents)

    def _masters_by_index(self) -> dict[tuple[int, int], torch.Tensor]:
        """The masters by (part, index), as in the names of a state."""
        own = {id(master) for _, master in self.masters}
        return {
            (part, index): value
            for part, (optimizer, _) in enumerate(self.parts)
            for index, value in enumerate(tensor for group in optimizer.param_groups for tensor in group["params"])
            if id(value) in own
        }


def _flat_state(entries: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values of one tensor's state. bitsandbytes nests its 8-bit part one level deeper, but also loads it flat."""
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value
