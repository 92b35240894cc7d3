"""The trunk of a Llama-like model with fused linear layers: layers that read the same input become one matrix product.

When each row has one new token, most of the time of transformers' own layers goes into many small matrix products and the
Python around them, and a LoRA adapter adds two products to each of seven. Here a layer has four products (queries, keys and
values; output; gate and up; down), each followed by at most one pair of LoRA factors. Attention is unchanged. Adapters are not
merged and weights are not duplicated: the model's own weights become views of the fused ones.

Only the families in `FUSED_FAMILIES` are supported; their code was read in transformers 5.23. `self_check.check_exact` compares
the result with the model's own forward. Every other model runs unfused.

Dimensions: T tokens, D head size, R LoRA rank (summed over the fused layers).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from torch.nn.functional import linear

from tunesmith.models.backends.attention import cached_attention
from tunesmith.models.backends.kv_cache import KVCache
from tunesmith.models.packed import unwrap_peft

FUSED_FAMILIES: Final = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class LoraFactors:
    """LoRA factors of fused layers: `down` [R, in] and `up` [out, R], block-diagonal, one block per layer."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float


@dataclass(frozen=True)
class FusedLinear:
    """Linear layers that read the same input, as one: `weight` [out, in], `bias` [out] or None, `adapter` or None."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    adapter: LoraFactors | None

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """[T, in] to [T, out]."""
        return self._add_adapter(linear(states, self.weight, self.bias), states)

    def add_to(self, residual: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """`residual` [T, out] plus the output for `states` [T, in]."""
        output = torch.addmm(residual, states, self.weight.T)
        return self._add_adapter(output if self.bias is None else output.add_(self.bias), states)

    def _add_adapter(self, output: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        if self.adapter is None:
            return output
        return output.addmm_(states @ self.adapter.down.T, self.adapter.up.T, alpha=self.adapter.scale)


@dataclass(frozen=True)
class FusedLayer:
    """One decoder layer: the model's own norms and its fused linear layers."""

    attention: Any
    norms: tuple[nn.Module, nn.Module]
    head_norms: tuple[nn.Module, nn.Module] | None
    act: nn.Module
    window: int | None
    qkv: FusedLinear
    output: FusedLinear
    gate_up: FusedLinear
    down: FusedLinear


@dataclass(frozen=True)
class FusedTrunk:
    """The trunk of `causal` with fused layers; `hidden` gives the same states as the model's own trunk, within rounding."""

    causal: Any
    layers: tuple[FusedLayer, ...]

    def hidden(self, ids: torch.Tensor, positions: torch.Tensor, cache: KVCache) -> torch.Tensor:
        """Last hidden states [T, hidden] of the tokens `ids` [T] in the layout of the cache."""
        trunk = self.causal.base_model
        states = trunk.embed_tokens(ids)
        cosine, sine = (part[0, :, None] for part in trunk.rotary_emb(states[None], position_ids=positions[None]))
        half = sine.shape[-1] // 2
        # With the sign in the sine, rotate_half becomes a plain roll by half the head size.
        rotary = (cosine, torch.cat([-sine[..., :half], sine[..., half:]], dim=-1))
        for layer in self.layers:
            states = _attention_block(layer, states, rotary, cache)
            gate, up = layer.gate_up(layer.norms[1](states)).chunk(2, dim=-1)
            states = layer.down.add_to(states, layer.act(gate).mul_(up))
        return trunk.norm(states)  # type: ignore[no-any-return]


def _attention_block(
    layer: FusedLayer, states: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], cache: KVCache
) -> torch.Tensor:
    """`states` [T, hidden] plus the attention output of a layer."""
    attention, size = layer.attention, layer.attention.head_dim
    heads = layer.qkv(layer.norms[0](states)).unflatten(-1, (-1, size))
    # (T, heads, D): the query heads, then the key heads, then as many value heads.
    key_heads = layer.output.weight.shape[1] // size // attention.num_key_value_groups
    rotated = heads[:, :-key_heads]
    if layer.head_norms is not None:
        pairs = zip(layer.head_norms, _split_heads(rotated, key_heads), strict=True)
        rotated = torch.cat([norm(part) for norm, part in pairs], dim=1)
    cosine, sine = rotary
    rotated = torch.addcmul(rotated * cosine, rotated.roll(size // 2, dims=-1), sine)
    queries, keys = _split_heads(rotated, key_heads)
    query, key, value = (part.transpose(0, 1)[None] for part in (queries, keys, heads[:, -key_heads:]))
    attended, _ = cached_attention(
        attention, query, key, value, None, scaling=attention.scaling, kv_cache=cache, sliding_window=layer.window
    )
    return layer.output.add_to(states, attended[0].flatten(1))


def _split_heads(heads: torch.Tensor, last: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All heads but the last ones, and the last ones."""
    return heads[:, :-last], heads[:, -last:]


def fused_trunk(model: Any) -> FusedTrunk | None:
    """The fused trunk of a model of transformers or PEFT's wrapper; None for an unsupported family or adapter.

    The weights of the model's linear layers become views of the fused ones, so that memory is used once.
    """
    causal = unwrap_peft(model)
    trunk = causal.base_model
    if causal.config.model_type not in FUSED_FAMILIES or trunk is causal:
        return None
    if 2 * len(trunk.rotary_emb.inv_freq) != trunk.layers[0].self_attn.head_dim:
        return None
    linears = [part for layer in trunk.layers for group in _linear_groups(layer) for part in group]
    if not all(type(layer) is nn.Linear or _is_plain_lora(layer) for layer in linears):
        return None
    return FusedTrunk(causal, tuple(_fuse_layer(layer, causal.config) for layer in trunk.layers))


def _linear_groups(layer: Any) -> tuple[tuple[nn.Module, ...], ...]:
    """The linear layers of a decoder layer, grouped by the input that they read."""
    own, mlp = layer.self_attn, layer.mlp
    return (own.q_proj, own.k_proj, own.v_proj), (own.o_proj,), (mlp.gate_proj, mlp.up_proj), (mlp.down_proj,)


def _is_plain_lora(layer: nn.Module) -> bool:
    """Whether a layer computes exactly `base(x) + scale * B(A(x))`, with one active adapter in the precision of the base."""
    if type(layer) is not LoraLinear or type(layer.get_base_layer()) is not nn.Linear:
        return False
    lora: Any = layer
    if lora.merged or lora.disable_adapters or len(lora.active_adapters) != 1 or lora.training:
        return False
    (name,) = lora.active_adapters
    if name not in lora.lora_A or name in lora.lora_variant:
        return False
    factors = (lora.lora_A[name], lora.lora_B[name])
    dtype = lora.get_base_layer().weight.dtype
    return all(type(factor) is nn.Linear and factor.bias is None and factor.weight.dtype == dtype for factor in factors)


def _fuse_layer(layer: Any, config: Any) -> FusedLayer:
    own = layer.self_attn
    qkv, output, gate_up, down = (_fuse_linears(group) for group in _linear_groups(layer))
    with_norms = config.model_type == "qwen3"
    return FusedLayer(
        attention=own,
        norms=(layer.input_layernorm, layer.post_attention_layernorm),
        head_norms=(own.q_norm, own.k_norm) if with_norms else None,
        act=layer.mlp.act_fn,
        window=_attention_window(own, config),
        qkv=qkv,
        output=output,
        gate_up=gate_up,
        down=down,
    )


def _attention_window(attention: Any, config: Any) -> int | None:
    """The sliding window that the family's own attention uses, in tokens; None without one."""
    match config.model_type:
        case "mistral":
            return config.sliding_window  # type: ignore[no-any-return]
        case "qwen2" | "qwen3":
            return attention.sliding_window  # type: ignore[no-any-return]
        case _:
            return None


def _fuse_linears(layers: Sequence[Any]) -> FusedLinear:
    bases: list[Any] = [layer.get_base_layer() if isinstance(layer, LoraLinear) else layer for layer in layers]
    weight = _concatenate_weights([base.weight for base in bases])
    biases = [base.bias for base in bases]
    bias = None
    if any(bias is not None for bias in biases):
        bias = torch.cat(
            [base.weight.new_zeros(base.out_features) if base.bias is None else base.bias.detach() for base in bases]
        )
    return FusedLinear(weight, bias, _concatenate_lora(layers, bases))


def _concatenate_weights(weights: Sequence[nn.Parameter]) -> torch.Tensor:
    """The weights stacked [sum of out, in]; each parameter becomes a view of its part."""
    if len(weights) == 1:
        return weights[0].detach()
    joined = torch.cat([weight.detach() for weight in weights])
    for weight, part in zip(weights, joined.split([len(weight) for weight in weights]), strict=True):
        weight.data = part
    return joined


def _concatenate_lora(layers: Sequence[Any], bases: Sequence[nn.Linear]) -> LoraFactors | None:
    """The factors of all layers that have an adapter: A stacked, B block-diagonal, with one common scale."""
    adapted: list[Any] = [layer for layer in layers if isinstance(layer, LoraLinear)]
    if not adapted:
        return None
    pairs = {}
    for layer in adapted:
        (name,) = layer.active_adapters
        pairs[layer] = (layer.lora_A[name].weight.detach(), layer.lora_B[name].weight.detach(), layer.scaling[name])
    scale = next((own for _, _, own in pairs.values() if own), 1.0)
    down = torch.cat([factor for factor, _, _ in pairs.values()])
    up = down.new_zeros((sum(base.out_features for base in bases), len(down)))
    row = column = 0
    for layer, base in zip(layers, bases, strict=True):
        if layer in pairs:
            _, factor, own = pairs[layer]
            # Scales differ only with per-module ranks or alphas; their ratio is folded into B.
            up[row : row + base.out_features, column : column + factor.shape[1]] = factor * (own / scale)
            column += factor.shape[1]
        row += base.out_features
    return LoraFactors(down, up, scale)
