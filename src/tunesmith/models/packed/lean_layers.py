"""Layers of a model that train in less memory and time while `lean` holds: linear layers under LoRA, embeddings, norms, gated
feed-forwards.

Each computes what the module computes, with a backward pass of its own that keeps less (see the modules beside this one).
A norm or a feed-forward is tried first, forward and backward, against the module itself; one that gives something else (Gemma's
norms add one to their weight) keeps its own code, as does everything that is not recognised.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from tunesmith.models.packed.lean_embedding import LeanEmbedding, is_plain_embedding
from tunesmith.models.packed.lean_feedforward import lean_feed_forward
from tunesmith.models.packed.lean_linear import has_hooks, lean_linear, linear_weights
from tunesmith.models.packed.lean_norm import lean_norm

ForwardFunction = Callable[[torch.Tensor], torch.Tensor]

GATED_FEED_FORWARD_CHILDREN: Final = {"gate_proj", "up_proj", "down_proj", "act_fn"}
"""Children of a feed-forward of this shape; Llama's names, which most decoders of transformers have taken over."""

MAX_RELATIVE_DIFFERENCE: Final = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}
PROBE_TOKENS: Final = 5


@contextmanager
def use_lean_layers(model: nn.Module) -> Iterator[list[str]]:
    """The paths of the layers that are replaced, on a CPU; afterwards every module has its own code again."""
    put: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        forward = _lean_forward(module)
        if forward is not None:
            module.__dict__["forward"] = forward
            put[path] = module
    try:
        yield list(put)
    finally:
        for module in put.values():
            del module.__dict__["forward"]


def _lean_forward(module: nn.Module) -> ForwardFunction | None:
    first = next(module.parameters(), None)
    if first is None or first.device.type != "cpu" or first.dtype not in MAX_RELATIVE_DIFFERENCE:
        return None
    if type(module) is LoraLinear:
        return _linear_forward(module)
    if is_plain_embedding(module):
        return LeanEmbedding(module)
    if set(module._modules) == GATED_FEED_FORWARD_CHILDREN:
        return _feed_forward_forward(module)
    return _norm_forward(module) if type(module).__name__.endswith("RMSNorm") else None


def _linear_forward(module: Any) -> ForwardFunction | None:
    if linear_weights(module) is None:
        return None

    def forward(x: torch.Tensor) -> torch.Tensor:
        layer = linear_weights(module)
        return type(module).forward(module, x) if layer is None else lean_linear(x, layer)

    return forward


def _feed_forward_forward(module: Any) -> ForwardFunction | None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        layers = [linear_weights(part) for part in (module.gate_proj, module.up_proj, module.down_proj)]
        gate, up, down = layers
        if gate is None or up is None or down is None:
            own: torch.Tensor = type(module).forward(module, x)
            return own
        return lean_feed_forward(x, gate=gate, up=up, down=down)

    parts = (module.gate_proj, module.up_proj, module.down_proj)
    known = [linear_weights(part) for part in parts if not has_hooks(part)]
    if len(known) < len(parts) or known[0] is None or None in known:
        return None
    return forward if _matches_module(module, forward, known[0].weight) else None


def _norm_forward(module: Any) -> ForwardFunction | None:
    epsilon = getattr(module, "variance_epsilon", None)
    if epsilon is None or list(module._parameters) != ["weight"] or module.weight.ndim != 1:
        return None

    def forward(hidden_states: torch.Tensor) -> torch.Tensor:
        return lean_norm(hidden_states, module.weight, epsilon)

    return forward if _matches_module(module, forward, module.weight[None]) else None


def _matches_module(module: nn.Module, forward: ForwardFunction, weight: torch.Tensor) -> bool:
    """Whether `forward` and the module give the same numbers and gradients for a few tokens of noise."""
    draw = torch.Generator().manual_seed(1)
    x, slope = (torch.randn(1, PROBE_TOKENS, weight.shape[1], generator=draw).to(weight.dtype) for _ in range(2))
    moved = [value for value in module.parameters() if value.requires_grad]
    own = partial(type(module).forward, module)
    with torch.enable_grad():
        mine, theirs = (_output_and_gradients(one, x.clone().requires_grad_(), slope, moved) for one in (forward, own))
    return all(
        float((one - other).norm()) <= MAX_RELATIVE_DIFFERENCE[weight.dtype] * float(other.norm())
        for one, other in zip(mine, theirs, strict=True)
    )


def _output_and_gradients(
    forward: ForwardFunction, x: torch.Tensor, slope: torch.Tensor, moved: list[nn.Parameter]
) -> list[torch.Tensor]:
    out = forward(x)
    return [out.detach(), *torch.autograd.grad(out, (x, *moved), slope)]
