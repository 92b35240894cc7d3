"""Make a loaded base trainable with the method of the recipe."""

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from tunesmith.context import Context
from tunesmith.errors import RecipeError
from tunesmith.models.heads import TaskHead
from tunesmith.models.packed import unwrap_peft
from tunesmith.recipe import TrainSettings
from tunesmith.train.methods.adapters import add_adapters
from tunesmith.train.methods.master_weights import accumulate_gradients_in_fp32


def prepare_model(
    model: Any, settings: TrainSettings, context: Context, *, head: TaskHead | None = None, added: Sequence[int] = ()
) -> Any:
    """The model with exactly the method's tensors requiring gradients, and those gradients accumulated in fp32.

    LoRA's A is seeded, its B is zero. A `head` is trained whole beside adapters, and so are the rows of `added` tokens (ids).
    Raises RecipeError for a target module that does not exist or cannot carry an adapter, for a base that is not in 4 bits
    under qlora, and for gradient checkpointing in a model that does not support it.
    """
    full = settings.method == "full"
    prepared = _require_all_gradients(model) if full else add_adapters(model, settings, context, head=head, added=added)
    accumulate_gradients_in_fp32(prepared)
    if settings.gradient_checkpointing:
        _recompute_layers(unwrap_peft(prepared), settings)
    return prepared


def _require_all_gradients(model: Any) -> Any:
    """Make every tensor trainable except those that are never saved, which training would change for this process only:
    transformers 5.23 marks Marian's sinusoidal positions trainable, but recomputes them when the model is loaded."""
    unsaved = [re.compile(name) for name in getattr(model, "_keys_to_ignore_on_save", None) or ()]
    names: dict[nn.Parameter, list[str]] = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        names.setdefault(value, []).append(name)
    for value, own_names in names.items():
        value.requires_grad_(not all(any(pattern.search(name) for pattern in unsaved) for name in own_names))
    return model


def _recompute_layers(model: Any, settings: TrainSettings) -> None:
    """Gradient checkpointing: keep only the input of every layer and recompute the layer in the backward pass, bit for bit.

    Keyword arguments of the layers (positions, segments) are passed on. The non-reentrant form needs no input that requires a
    gradient, so the hook that transformers puts on the embeddings for the reentrant form is removed: it would cost a backward
    through the frozen part of the first layer. Random state is preserved only where a layer draws (adapter dropout).
    """
    options = {"use_reentrant": False, "preserve_rng_state": settings.draws_noise}
    try:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=options)
    except ValueError as error:
        raise RecipeError(
            str(error), where="train.gradient_checkpointing", hint="set `train: {gradient_checkpointing: false}`"
        ) from error
    model.disable_input_require_grads()
