"""Make a loaded base trainable by the method of the recipe."""

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from tunesmith.context import Context
from tunesmith.errors import RecipeError
from tunesmith.models.heads import TaskHead
from tunesmith.models.packed.forward import unwrap_peft
from tunesmith.recipe import TrainSettings
from tunesmith.train.methods.adapters import add_adapters
from tunesmith.train.methods.master_weights import accumulate_gradients_in_fp32


def prepare_model(
    model: Any, settings: TrainSettings, context: Context, *, head: TaskHead | None = None, added: Sequence[int] = ()
) -> Any:
    """The model with exactly the tensors of the method requiring gradients, which are summed in fp32. LoRA's A is seeded, its B
    is zero. A `head` is trained whole beside adapters, and so are the rows of tokens that were `added`, by their ids.

    Raises RecipeError for what the recipe asks of this base and cannot have: a target that is not there or cannot carry an
    adapter, a base that is not in 4 bits under qlora, recomputation in a model without layers.
    """
    full = settings.method == "full"
    prepared = _require_all_gradients(model) if full else add_adapters(model, settings, context, head=head, added=added)
    accumulate_gradients_in_fp32(prepared)
    if settings.gradient_checkpointing:
        _recompute_layers(unwrap_peft(prepared), settings)
    return prepared


def _require_all_gradients(model: Any) -> Any:
    """Every tensor moves but those that are never saved: transformers 5.23 lets the sinusoidal positions of Marian be
    trained, and makes them anew wherever the model is loaded."""
    unsaved = [re.compile(name) for name in getattr(model, "_keys_to_ignore_on_save", None) or ()]
    names: dict[nn.Parameter, list[str]] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        names.setdefault(value, []).append(name)
    for value, called in names.items():
        value.requires_grad_(not all(any(one.search(name) for one in unsaved) for name in called))
    return model


def _recompute_layers(model: Any, settings: TrainSettings) -> None:
    """Keep only the input of every layer and compute the layer again in the backward pass, to the same bits.

    Keyword arguments of the layers (positions, segments) go along. The non-reentrant form needs no input that requires a
    gradient, so the hook that transformers puts on the embeddings for the reentrant one goes: it would cost a backward
    through the frozen part of the first layer. Random state is kept only where a layer draws (dropout of adapters).
    """
    options = {"use_reentrant": False, "preserve_rng_state": settings.draws_noise}
    try:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    except ValueError as error:
        raise RecipeError(str(error), where="train.gradient_checkpointing", hint="set it to false") from error
    model.disable_input_require_grads()
