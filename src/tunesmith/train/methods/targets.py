"""The layers that get an adapter. Every name in `train.target_modules` must match layers that can carry one."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from torch import nn
from transformers.pytorch_utils import Conv1D

from tunesmith.errors import RecipeError

ADAPTABLE_LAYERS: Final = (nn.Linear, nn.Embedding, Conv1D)
TARGETS_KEY: Final = "train.target_modules"


def resolve_targets(model: nn.Module, names: Sequence[str]) -> list[str] | str:
    """The names in the form that PEFT takes: a whole layer path, or its last parts. No names: all linear layers but the head.

    Raises RecipeError for a name that matches no layer, or a layer that is neither linear nor an embedding.
    """
    if not names:
        return "all-linear"
    layers = dict(model.named_modules())
    for name in names:
        matched = {path: layer for path, layer in layers.items() if path == name or path.endswith(f".{name}")}
        if not matched:
            raise RecipeError(
                f"the base has no layer named {name}", where=TARGETS_KEY, hint=_suggest_names(name, layers)
            )
        for path, layer in matched.items():
            _check_kind(path, layer, layers)
    return list(names)


def _check_kind(path: str, layer: nn.Module, layers: dict[str, nn.Module]) -> None:
    if not isinstance(layer, ADAPTABLE_LAYERS):
        hint = f"adapters fit on linear layers and embeddings: {', '.join(_adaptable_names(layers))}"
        raise RecipeError(f"{path} is a {type(layer).__name__}", where=TARGETS_KEY, hint=hint)


def _adaptable_names(layers: dict[str, nn.Module]) -> list[str]:
    """Last parts of the paths of all layers that can carry an adapter, sorted."""
    return sorted({path.rpartition(".")[2] for path, layer in layers.items() if isinstance(layer, ADAPTABLE_LAYERS)})


def _suggest_names(name: str, layers: dict[str, nn.Module]) -> str:
    names = _adaptable_names(layers)
    similar = get_close_matches(name.rpartition(".")[2], names, n=3)
    suggestion = f"did you mean {' or '.join(similar)}? " if similar else ""
    return f"{suggestion}the base has {', '.join(names)}"
