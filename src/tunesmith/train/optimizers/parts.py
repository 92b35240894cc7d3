"""One or two torch optimisers behind one step, and their state as flat tensors."""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith import process

process.prepare()

import torch  # noqa: E402


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
        """The whole state, flat, for a checkpoint. A count kept as a plain int becomes an int64 tensor without dimensions."""
        found: dict[str, torch.Tensor] = {}
        for part, (optimizer, _) in enumerate(self.parts):
            for index, entries in optimizer.state_dict()["state"].items():
                for name, value in _leaves(entries):
                    found[f"{part}.{index}.{name}"] = torch.as_tensor(value).detach().clone().contiguous()
        return found

    def restore(self, flat: dict[str, torch.Tensor]) -> None:
        """Put a state back, bit for bit."""
        states: list[dict[int, dict[str, Any]]] = [{} for _ in self.parts]
        for key, value in flat.items():
            part, index, name = key.split(".")
            # bitsandbytes counts its steps in a plain int; torch's own optimisers count in fp32 tensors.
            count = value.ndim == 0 and value.dtype == torch.int64
            states[int(part)].setdefault(int(index), {})[name] = int(value) if count else value
        for (optimizer, _), state in zip(self.parts, states, strict=True):
            contents = optimizer.state_dict()
            contents["state"] = state
            optimizer.load_state_dict(contents)


def _leaves(entries: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values of one tensor's state. bitsandbytes nests its 8-bit part one level deeper, and reads it flat too."""
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value
