"""Low-rank adapters with PEFT: LoRA (Hu et al. 2021, arXiv 2106.09685), rsLoRA (Kalajdzievski 2023, arXiv 2312.03732), DoRA
(Liu et al. 2024, arXiv 2402.09353), QLoRA (Dettmers et al. 2023, arXiv 2305.14314)."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from tunesmith.context import Context
from tunesmith.errors import RecipeError
from tunesmith.models.heads import PEFT_TASKS, TaskHead, head_module_names
from tunesmith.models.loading import IGNORED_PEFT_WARNINGS
from tunesmith.recipe import TrainSettings
from tunesmith.train.methods.master_weights import compute_in_input_dtype, set_dora_magnitudes, zero_magnitude_layer
from tunesmith.train.methods.targets import resolve_targets
from tunesmith.train.precision import precision_of


def add_adapters(
    model: Any, settings: TrainSettings, context: Context, *, head: TaskHead | None = None, added: Sequence[int] = ()
) -> Any:
    """Wrap the model with PEFT: the base frozen, adapters in fp32 whatever the base's precision, A seeded, B zero.

    A classification head is new, so it is trained whole and saved with the adapter (PEFT's `modules_to_save`). Of `added`
    tokens (ids) only their rows of the embeddings, and of an untied head, are trained and saved (PEFT's
    `trainable_token_indices`). Raises RecipeError for target modules that cannot carry an adapter.
    """
    if settings.method == "qlora" and not getattr(model, "is_loaded_in_4bit", False):
        raise RecipeError("the base is not in 4 bits", where="train.method", hint="load it with methods.load_base")
    torch.manual_seed(context.seed_for(f"train/lora/{settings.seed}") % 2**63)
    whole = list(head_module_names(model)) if head is not None and head.kind != "seq2seq" else []
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha if settings.alpha is not None else 2 * settings.rank,
        target_modules=resolve_targets(model, settings.target_modules),
        lora_dropout=settings.dropout,
        use_rslora=settings.rank_stabilized,
        use_dora=settings.method == "dora",
        bias="none",
        task_type="CAUSAL_LM" if head is None else PEFT_TASKS[head.kind],
        modules_to_save=whole or None,
        trainable_token_indices=_token_rows(model, settings, added),
    )
    try:
        with warnings.catch_warnings():
            for message in IGNORED_PEFT_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            wrapped = get_peft_model(model, config)
    except ValueError as error:
        raise RecipeError(
            str(error), where="train.target_modules", hint="name linear layers of the base under train.target_modules"
        ) from error
    if settings.method == "dora":
        _set_magnitudes(wrapped, settings)
    elif precision_of(settings) != "fp32":
        compute_in_input_dtype(wrapped)
    return wrapped


def _token_rows(model: Any, settings: TrainSettings, added: Sequence[int]) -> dict[str, list[int]] | None:
    """The trained rows by layer path. A tied head needs no entry: PEFT keeps it tied to the embeddings."""
    if not added:
        return None
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    layers = layers[:1] if layers[1].weight is layers[0].weight else layers
    paths = [path for path, layer in model.named_modules() if any(layer is target for target in layers)]
    for path in paths:
        if targets := [name for name in settings.target_modules if path == name or path.endswith(f".{name}")]:
            hint = "remove it from train.target_modules: the rows of added tokens are trained without an adapter"
            raise RecipeError(f"{targets[0]} has rows of added tokens", where="train.target_modules", hint=hint)
    return {path: sorted(added) for path in paths}


def _set_magnitudes(wrapped: Any, settings: TrainSettings) -> None:
    if precision_of(settings) != "fp32":
        set_dora_magnitudes(wrapped)
    if path := zero_magnitude_layer(wrapped):
        hint = "remove the layer from train.target_modules, or set `train: {method: lora}`"
        what = f"DoRA divides every row of a matrix by its norm, and {path} has a row of zeros"
        raise RecipeError(what, where="train.method", hint=hint)
