"""The trunk of a Llama-like model with its products joined: what reads the same input is multiplied at once.

For one token a row most of the time of transformers' own layers goes into many small products and into the Python around them;
an adapter adds two products to each of seven. Here a layer has four products (queries with keys and values; output; gate with
up; down), each with at most one pair of low-rank factors behind it, and attention is the same as everywhere. Nothing is merged
and nothing is copied: the model's own weights become views of the joined ones.

Only families whose code was read are built (`FAMILIES`, transformers 5.23), and `trial.check_exact` tries what was built
against the model's own forward; every other model runs as it is.
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
from tunesmith.models.packed.forward import unwrap_peft

FUSED_FAMILIES: Final = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class LoraFactors:
    """Factors of an adapter over joined layers: `down` [R, in], `up` [out, R] with zeros where a rank is another layer's."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float


@dataclass(frozen=True)
class FusedLinear:
    """Layers that read the same input as one product: `weight` [out, in], `bias` [out] or None, `adapter` or None."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    adapter: LoraFactors | None

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """[T, in] to [T, out]."""
        return self._adapted(linear(states, self.weight, self.bias), states)

    def onto(self, sums: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """`sums` [T, out] plus the product of `states` [T, in]."""
        added = torch.addmm(sums, states, self.weight.T)
        return self._adapted(added if self.bias is None else added.add_(self.bias), states)

    def _adapted(self, made: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        if self.adapter is None:
            return made
        return made.addmm_(states @ self.adapter.down.T, self.adapter.up.T, alpha=self.adapter.scale)


@dataclass(frozen=True)
class FusedLayer:
    """One decoder layer: the model's own norms, and its products joined."""

    attention: Any
    norms: tuple[nn.Module, nn.Module]
    head_norms: tuple[nn.Module, nn.Module] | None
    act: nn.Module
    window: int | None
    read: FusedLinear
    write: FusedLinear
    widen: FusedLinear
    narrow: FusedLinear


@dataclass(frozen=True)
class FusedTrunk:
    """`hidden` is what the trunk of `causal` gives, computed by the joined layers."""

    causal: Any
    layers: tuple[FusedLayer, ...]

    def hidden(self, ids: torch.Tensor, positions: torch.Tensor, seen: KVCache) -> torch.Tensor:
        """Last hidden states [T, D] of the tokens `ids` [T] that `seen` is aimed at."""
        trunk = self.causal.base_model
        states = trunk.embed_tokens(ids)
        cosine, sine = (part[0, :, None] for part in trunk.rotary_emb(states[None], position_ids=positions[None]))
        half = sine.shape[-1] // 2
        turn = (cosine, torch.cat([-sine[..., :half], sine[..., half:]], dim=-1))
        for layer in self.layers:
            states = _attention_block(layer, states, turn, seen)
            widened = layer.widen(layer.norms[1](states))
            gate, up = widened.chunk(2, dim=-1)
            states = layer.narrow.onto(states, layer.act(gate).mul_(up))
        return trunk.norm(states)  # type: ignore[no-any-return]


def _attention_block(
    layer: FusedLayer, states: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor], seen: KVCache
) -> torch.Tensor:
    attention, size = layer.attention, layer.attention.head_dim
    heads = layer.read(layer.norms[0](states)).unflatten(-1, (-1, size))
    # Queries, then keys, then values: [T, heads, D].
    values = layer.write.weight.shape[1] // size // attention.num_key_value_groups
    turned = heads[:, :-values]
    if layer.head_norms is not None:
        queries, keys = (norm(part) for norm, part in zip(layer.head_norms, _split_heads(turned, values), strict=True))
        turned = torch.cat([queries, keys], dim=1)
    cosine, sine = turn
    turned = torch.addcmul(turned * cosine, turned.roll(size // 2, dims=-1), sine)
    queries, keys = _split_heads(turned, values)
    query, key, value = (part.transpose(0, 1)[None] for part in (queries, keys, heads[:, -values:]))
    attended, _ = cached_attention(
        attention, query, key, value, None, scaling=attention.scaling, seen=seen, sliding_window=layer.window
    )
    return layer.write.onto(states, attended[0].flatten(1))


def _split_heads(heads: torch.Tensor, last: int) -> tuple[torch.Tensor, torch.Tensor]:
    return heads[:, :-last], heads[:, -last:]


def fused_trunk(model: Any) -> FusedTrunk | None:
    """The joined trunk of a model of transformers or PEFT's wrapper; None for a family or an adapter that it is not made for.

    The weights of the model's linear layers are made views of the joined ones, so that memory is taken once.
    """
    causal = unwrap_peft(model)
    trunk = causal.base_model
    if causal.config.model_type not in FUSED_FAMILIES or trunk is causal:
        return None
    if 2 * len(trunk.rotary_emb.inv_freq) != trunk.layers[0].self_attn.head_dim:
        return None
    every = [part for layer in trunk.layers for group in _linear_groups(layer) for part in group]
    if not all(_is_plain_linear(part) or _is_plain_lora(part) for part in every):
        return None
    return FusedTrunk(causal, tuple(_fuse_layer(layer, causal.config) for layer in trunk.layers))


def _linear_groups(layer: Any) -> tuple[tuple[nn.Module, ...], ...]:
    """The linear layers of a decoder layer that read the same input."""
    own, mlp = layer.self_attn, layer.mlp
    return (own.q_proj, own.k_proj, own.v_proj), (own.o_proj,), (mlp.gate_proj, mlp.up_proj), (mlp.down_proj,)


def _is_plain_linear(layer: nn.Module) -> bool:
    return type(layer) is nn.Linear


def _is_plain_lora(layer: nn.Module) -> bool:
    """Whether a layer is `base(x) + scale * B(A(x))` with one adapter, in one precision, and nothing else."""
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
    return all(type(one) is nn.Linear and one.bias is None and one.weight.dtype == dtype for one in factors)


def _fuse_layer(layer: Any, config: Any) -> FusedLayer:
    own = layer.self_attn
    read, write, widen, narrow = (_fuse_linears(group) for group in _linear_groups(layer))
    with_norms = config.model_type == "qwen3"
    return FusedLayer(
        attention=own,
        norms=(layer.input_layernorm, layer.post_attention_layernorm),
        head_norms=(own.q_norm, own.k_norm) if with_norms else None,
        act=layer.mlp.act_fn,
        window=_attention_window(own, config),
        read=read,
        write=write,
        widen=widen,
        narrow=narrow,
    )


def _attention_window(attention: Any, config: Any) -> int | None:
    """The window that the family's own attention asks for."""
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
    if any(one is not None for one in biases):
        bias = torch.cat(
            [
                base.weight.new_zeros(base.out_features) if one is None else one.detach()
                for base, one in zip(bases, biases, strict=True)
            ]
        )
    return FusedLinear(weight, bias, _concatenate_lora(layers, bases))


def _concatenate_weights(weights: Sequence[nn.Parameter]) -> torch.Tensor:
    """The weights below each other; each of them becomes a view of its part."""
    if len(weights) == 1:
        return weights[0].detach()
    joined = torch.cat([weight.detach() for weight in weights])
    for weight, part in zip(weights, joined.split([len(weight) for weight in weights]), strict=True):
        weight.data = part
    return joined


def _concatenate_lora(layers: Sequence[Any], bases: Sequence[nn.Linear]) -> LoraFactors | None:
    """The factors of all layers that have an adapter, if they have one scale; B is laid out in blocks."""
    adapted: list[Any] = [layer for layer in layers if isinstance(layer, LoraLinear)]
    if not adapted:
        return None
    pairs = {}
    for layer in adapted:
        (name,) = layer.active_adapters
        pairs[layer] = (layer.lora_A[name].weight.detach(), layer.lora_B[name].weight.detach(), layer.scaling[name])
    scale = next((own for _, _, own in pairs.values() if own), 1.0)
    down = torch.cat([first for first, _, _ in pairs.values()])
    up = down.new_zeros((sum(base.out_features for base in bases), len(down)))
    row = column = 0
    for layer, base in zip(layers, bases, strict=True):
        if layer in pairs:
            _, second, own = pairs[layer]
            # Scales differ only with ranks or alphas per module; the quotient is folded into B.
            up[row : row + base.out_features, column : column + second.shape[1]] = second * (own / scale)
            column += second.shape[1]
        row += base.out_features
    return LoraFactors(down, up, scale)
