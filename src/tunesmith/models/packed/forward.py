"""The model's forward over a packed batch, up to its last hidden states."""

from typing import Any

import torch
from peft import PeftModel
from torch import nn

from tunesmith.errors import Misuse
from tunesmith.models.packed import attention, varlen
from tunesmith.models.packed.last_layer_pruning import is_last_layer_pruned
from tunesmith.models.packed.pack import PackedBatch


def hidden_states(
    model: nn.Module, batch: PackedBatch, windows: dict[int, int | None] | None = None, *, read_only: bool = False
) -> torch.Tensor:
    """Last hidden states [T, hidden] of a batch of T tokens.

    Args:
        model: a causal language model of transformers, or a PEFT wrapper of one. Its attention implementation is switched
            to the packed one and stays so.
        windows: filled with {layer number: sliding window that the layer passes to its attention}.
        read_only: compute only the states at `batch.hidden_index`; other rows hold arbitrary values. Saves work if the
            last layer is pruned (see `last_layer_pruning`).

    Raises Misuse if the model's layers cannot be called without its head.
    """
    causal = unwrap_peft(model)
    if causal.config._attn_implementation != attention.ATTENTION_NAME:
        causal.set_attn_implementation(attention.ATTENTION_NAME)
    if causal.base_model is causal:
        raise Misuse(f"the layers of a {causal.config.model_type} model cannot be called without its head")
    on_cuda = batch.ids.is_cuda
    last_layer_rows = batch.last_layer_rows if read_only and is_last_layer_pruned(causal) else None
    # transformers passes keyword arguments that it does not know on to every layer and its attention.
    output = causal.base_model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        segments=batch.segments,
        attention_plan=batch.attention_plan,
        bounds=varlen.segment_bounds(batch.segments, batch.ids.device) if on_cuda else None,
        use_cache=False,
        **({} if windows is None else {"windows": windows}),
        **({} if last_layer_rows is None else {"last_layer_rows": last_layer_rows}),
    )
    return output.last_hidden_state[0]  # type: ignore[no-any-return]


def unwrap_peft(model: nn.Module) -> Any:
    """The transformers model inside a PEFT wrapper, LoRA layers in place; any other model itself."""
    return model.get_base_model() if isinstance(model, PeftModel) else model
