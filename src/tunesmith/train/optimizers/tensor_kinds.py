"""The kind of every trainable tensor: hidden matrix, embedding, head, or other (norms, biases).

Decided by the module that owns the tensor, never by its name: model families name their embeddings `embed_tokens`, `wte`, `wpe`
or `shared`, and their head `lm_head`, `embed_out` or `score`.
"""

from typing import Any, Literal, NamedTuple

from peft.tuners.lora import LoraLayer
from peft.utils.other import TrainableTokensWrapper
from torch import nn
from transformers.pytorch_utils import Conv1D

from tunesmith.models.packed import unwrap_peft

TensorKind = Literal["hidden", "embedding", "head", "other"]


class TrainableTensor(NamedTuple):
    """A tensor that requires a gradient. `transposed`: a matrix stored as (in, out), as in GPT-2; a Linear's is (out, in)."""

    name: str
    value: nn.Parameter
    kind: TensorKind
    transposed: bool


def classify_tensors(model: nn.Module) -> list[TrainableTensor]:
    """The tensors that require gradients, in the model's order. `model` is a transformers model, or PEFT's wrapper of one.

    `embedding`: tensors of any nn.Embedding (tokens, positions, types) and of adapters on one; a head tied to the embeddings
    counts as embedding. `head`: tensors of the output embeddings, of modules outside the trunk, and of adapters there.
    `hidden`: the other matrices of linear layers, including LoRA's A and B. `other`: norms, biases, three-dimensional tensors
    (experts in one tensor), routers without a layer of their own.
    """
    whole = unwrap_peft(model)
    embeddings, heads = _modules_by_id(_embedding_layers(whole)), _modules_by_id(_head_layers(whole))
    shared = {id(value) for module in embeddings.values() for value in module.parameters(recurse=False)}
    tensors = []
    for name, value in model.named_parameters():
        if not value.requires_grad:
            continue
        owner = model.get_submodule(name.rpartition(".")[0])
        if id(owner) in embeddings or id(value) in shared:
            kind: TensorKind = "embedding"
        elif id(owner) in heads:
            kind = "head"
        else:
            kind = "hidden" if value.ndim == 2 and isinstance(owner, nn.Linear | Conv1D) else "other"
        tensors.append(TrainableTensor(name, value, kind, isinstance(owner, Conv1D)))
    return tensors


def _embedding_layers(whole: Any) -> list[nn.Module]:
    """Every embedding, and every adapter layer around one."""
    layers: list[Any] = list(whole.modules())
    adapters: list[Any] = [
        layer for layer in layers if isinstance(layer, LoraLayer) and isinstance(layer.get_base_layer(), nn.Embedding)
    ]
    token_rows = [
        layer
        for layer in layers
        if isinstance(layer, TrainableTokensWrapper) and isinstance(layer.original_module, nn.Embedding)
    ]
    return [*(layer for layer in layers if isinstance(layer, nn.Embedding)), *adapters, *token_rows]


def _head_layers(whole: Any) -> list[nn.Module]:
    """The output embeddings, and the modules that a task model has beside its trunk: a classifier, a projection before one."""
    output = whole.get_output_embeddings()
    children = [] if whole.base_model is whole else [part for part in whole.children() if part is not whole.base_model]
    return [*([] if output is None else [output]), *children]


def _modules_by_id(layers: list[nn.Module]) -> dict[int, nn.Module]:
    """The layers and all their submodules, by id()."""
    return {id(module): module for layer in layers for module in layer.modules()}
