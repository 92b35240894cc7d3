"""Layers that compute the same with less memory and time in training: LoRA linear, embedding, RMSNorm, gated feed-forward.

Each has its own backward pass that keeps fewer tensors; see the `lean_*` modules. A norm or feed-forward is first run forward
and backward beside the model's module. If the results differ (Gemma's norms add one to their weight), the module keeps its own
code, and so does everything that is not recognised.
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
"""Llama's names for the children of a gated feed-forward, which most decoders of transformers use too."""

MAX_RELATIVE_DIFFERENCE: Final = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}
"""Between a lean forward and the module's own, in output and gradients (norm)."""

PROBE_TOKENS: Final = 5


@contextmanager
def use_lean_layers(model: nn.Module) -> Iterator[list[str]]:
    """Replace the forward of layers on a CPU, and restore it on exit. Yields the paths of the replaced layers."""
    replaced: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        forward = _lean_forward(module)
        if forward is not None:
            module.__dict__["forward"] = forward
            replaced[path] = module
    try:
        yield list(replaced)
    finally:
        for module in replaced.values():
            del module.__dict__["forward"]


def _lean_forward(module: nn.Module) -> ForwardFunction | None:
    """The lean forward of a module; None if there is none for it."""
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
        layer = linear_weights(module)  # read on every call: an adapter may be disabled meanwhile
        return type(module).forward(module, x) if layer is None else lean_linear(x, layer)

    return forward


def _feed_forward_forward(module: Any) -> ForwardFunction | None:
    parts = (module.gate_proj, module.up_proj, module.down_proj)

    def forward(x: torch.Tensor) -> torch.Tensor:
        gate, up, down = (linear_weights(part) for part in parts)
        if gate is None or up is None or down is None:
            own: torch.Tensor = type(module).forward(module, x)
            return own
        return lean_feed_forward(x, gate=gate, up=up, down=down)

    gate = linear_weights(module.gate_proj)
    if gate is None or any(has_hooks(part) or linear_weights(part) is None for part in parts):
        return None
    return forward if _matches_module(module, forward, gate.weight) else None


def _norm_forward(module: Any) -> ForwardFunction | None:
    epsilon = getattr(module, "variance_epsilon", None)
    if epsilon is None or list(module._parameters) != ["weight"] or module.weight.ndim != 1:
        return None

    def forward(hidden_states: torch.Tensor) -> torch.Tensor:
        return lean_norm(hidden_states, module.weight, epsilon)

    return forward if _matches_module(module, forward, module.weight[None]) else None


def _matches_module(module: nn.Module, forward: ForwardFunction, weight: torch.Tensor) -> bool:
    """Whether `forward` and the module have the same output and gradients on random tokens. `weight` is [..., input size]."""
    generator = torch.Generator().manual_seed(1)
    x, slope = (torch.randn(1, PROBE_TOKENS, weight.shape[1], generator=generator).to(weight.dtype) for _ in range(2))
    parameters = [value for value in module.parameters() if value.requires_grad]
    own = partial(type(module).forward, module)
    with torch.enable_grad():
        actual = _output_and_gradients(forward, x.clone().requires_grad_(), slope, parameters)
        expected = _output_and_gradients(own, x.clone().requires_grad_(), slope, parameters)
    return all(
        float((value - truth).norm()) <= MAX_RELATIVE_DIFFERENCE[weight.dtype] * float(truth.norm())
        for value, truth in zip(actual, expected, strict=True)
    )


def _output_and_gradients(
    forward: ForwardFunction, x: torch.Tensor, slope: torch.Tensor, parameters: list[nn.Parameter]
) -> list[torch.Tensor]:
    out = forward(x)
    return [out.detach(), *torch.autograd.grad(out, (x, *parameters), slope)]
