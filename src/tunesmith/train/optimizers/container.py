"""One or two torch optimisers behind one step, and their state as flat tensors.

A weight in half precision has a master in fp32 here. Each step is added to the master, and the weight is the master rounded:
bf16 keeps 8 bits, so a step of less than about a 250th of a weight, which is nearly every step of AdamW, would round to nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import nn

MASTER_KEY: Final = "master"


def fp32_master(value: nn.Parameter) -> nn.Parameter:
    """What an optimiser moves in place of `value`: itself in fp32, a copy in fp32 where it is narrower."""
    return value if value.dtype == torch.float32 else nn.Parameter(value.detach().float())


class Optimizers:
    """One or two torch optimisers behind one step; learning rates are shares of the recipe's.

    `masters`: pairs of a weight of the model and the fp32 copy that the optimisers hold in its place.
    """

    def __init__(
        self,
        parts: list[tuple[torch.optim.Optimizer, float]],
        masters: Sequence[tuple[torch.Tensor, torch.Tensor]] = (),
    ) -> None:
        self.parts = parts
        self.masters = tuple(masters)
        self.rate = 0.0

    def moved_for(self, value: torch.Tensor) -> torch.Tensor:
        """What is moved for a weight of the model: its master, or the weight itself."""
        return next((master for weight, master in self.masters if weight is value), value)

    def set_rate(self, rate: float) -> None:
        """The learning rate of the coming step."""
        self.rate = rate
        for optimizer, share in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = rate * share

    @torch.no_grad()
    def step(self) -> None:
        """One update by the gradients that the model's weights hold; a weight without one stays."""
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
        """The whole state, flat, for a checkpoint. A count kept as a plain int becomes an int64 tensor without dimensions."""
        found: dict[str, torch.Tensor] = {}
        for (part, index), master in self._placed().items():
            found[f"{part}.{index}.{MASTER_KEY}"] = master.detach().clone().contiguous()
        for part, (optimizer, _) in enumerate(self.parts):
            for index, entries in optimizer.state_dict()["state"].items():
                for name, value in _flat_state(entries):
                    found[f"{part}.{index}.{name}"] = torch.as_tensor(value).detach().clone().contiguous()
        return found

    def restore(self, flat: dict[str, torch.Tensor]) -> None:
        """Put a state back, bit for bit."""
        states: list[dict[int, dict[str, Any]]] = [{} for _ in self.parts]
        for key, value in flat.items():
            part, index, name = key.split(".")
            if name == MASTER_KEY:
                with torch.no_grad():
                    self._placed()[int(part), int(index)].copy_(value)
                continue
            # bitsandbytes counts its steps in a plain int; torch's own optimisers count in fp32 tensors.
            count = value.ndim == 0 and value.dtype == torch.int64
            states[int(part)].setdefault(int(index), {})[name] = int(value) if count else value
        for (optimizer, _), state in zip(self.parts, states, strict=True):
            contents = optimizer.state_dict()
            contents["state"] = state
            optimizer.load_state_dict(contents)

    def _placed(self) -> dict[tuple[int, int], torch.Tensor]:
        """The masters by part and number in it, as a state names its tensors."""
        own = {id(master) for _, master in self.masters}
        return {
            (part, index): value
            for part, (optimizer, _) in enumerate(self.parts)
            for index, value in enumerate(one for group in optimizer.param_groups for one in group["params"])
            if id(value) in own
        }


def _flat_state(entries: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values of one tensor's state. bitsandbytes nests its 8-bit part one level deeper, and reads it flat too."""
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value
