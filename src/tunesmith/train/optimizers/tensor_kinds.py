"""What each trainable tensor of a model is: a hidden matrix, or a part of embeddings, head, norms and biases.

Decided by the module that owns the tensor, never by its name: families call their embeddings `embed_tokens`, `wte`, `wpe` or
`shared`, and a head `lm_head`, `embed_out` or `score`.
"""

from typing import Any, Literal, NamedTuple

from peft.tuners.lora import LoraLayer
from peft.utils.other import TrainableTokensWrapper
from torch import nn
from transformers.pytorch_utils import Conv1D

from tunesmith.models.packed.forward import unwrap_peft

TensorKind = Literal["hidden", "embedding", "head", "other"]


class TrainableTensor(NamedTuple):
    """A tensor that moves. `transposed`: a matrix kept as [in, out], as GPT-2's are; a Linear's is [out, in]."""

    name: str
    value: nn.Parameter
    kind: TensorKind
    transposed: bool


def classify_tensors(model: nn.Module) -> list[TrainableTensor]:
    """The tensors that require gradients, in the model's order. `model` is of transformers, or PEFT's wrapper around one.

    `embedding`: of any nn.Embedding (tokens, positions, types) or of an adapter on one; a head tied to the embeddings is
    theirs. `head`: of the output embeddings, of whatever stands outside the trunk, and of adapters there. `hidden`: the
    other matrices of linear layers, LoRA's A and B among them. `other`: norms, biases, tensors of three dimensions (experts
    in one tensor), routers without a layer.
    """
    whole = unwrap_peft(model)
    embeddings, heads = _modules_by_id(_embedding_layers(whole)), _modules_by_id(_head_layers(whole))
    shared = {id(value) for module in embeddings.values() for value in module.parameters(recurse=False)}
    found = []
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
        found.append(TrainableTensor(name, value, kind, isinstance(owner, Conv1D)))
    return found


def _embedding_layers(whole: Any) -> list[nn.Module]:
    """Every embedding, and every adapter's layer around one."""
    layers: list[Any] = list(whole.modules())
    around: list[Any] = [
        one for one in layers if isinstance(one, LoraLayer) and isinstance(one.get_base_layer(), nn.Embedding)
    ]
    rows = [
        one
        for one in layers
        if isinstance(one, TrainableTokensWrapper) and isinstance(one.original_module, nn.Embedding)
    ]
    return [*(one for one in layers if isinstance(one, nn.Embedding)), *around, *rows]


def _head_layers(whole: Any) -> list[nn.Module]:
    """The output embeddings, and what a task's model has beside its trunk: a classifier, a projection in front of one."""
    output = whole.get_output_embeddings()
    beside = [] if whole.base_model is whole else [part for part in whole.children() if part is not whole.base_model]
    return [*([] if output is None else [output]), *beside]


def _modules_by_id(layers: list[nn.Module]) -> dict[int, nn.Module]:
    """The layers and all that is in them, by identity."""
    return {id(module): module for layer in layers for module in layer.modules()}
