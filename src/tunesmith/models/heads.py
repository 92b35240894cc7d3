"""Load an encoder with a classification head, or an encoder-decoder: safetensors only, no code from the folder, no network.

A head without weights in the folder is initialized from the seed. Any other missing weight is an error.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from tunesmith.errors import DataError, Misuse
from tunesmith.models.dropout import set_dropout
from tunesmith.models.loading import (
    DTYPES,
    IGNORED_PEFT_WARNINGS,
    Precision,
    check_config,
    check_folder_exists,
    check_has_safetensors,
    is_adapter,
    open_tokenizer,
)
from tunesmith.models.target_tokens import read_target_tokens

HeadKind = Literal["sequence", "token", "seq2seq"]
AUTO_CLASSES: Final[dict[HeadKind, Any]] = {
    "sequence": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
    "seq2seq": AutoModelForSeq2SeqLM,
}
HUB_TASKS: Final[dict[HeadKind, str]] = {
    "sequence": "text-classification",
    "token": "token-classification",
    "seq2seq": "text2text-generation",
}
"""Task names of the Hugging Face Hub."""

PEFT_TASKS: Final[dict[HeadKind, str]] = {"sequence": "SEQ_CLS", "token": "TOKEN_CLS", "seq2seq": "SEQ_2_SEQ_LM"}
PROBLEM_TYPES: Final = {
    "single": "single_label_classification",
    "multi": "multi_label_classification",
    "score": "regression",
}
POOLER_PREFIX: Final = "pooler."
"""A pooler reduces the sequence for the head; a base saved without one gets a new one together with the head."""


@dataclass(frozen=True)
class TaskHead:
    """The head on a base. `labels` are in the order of the logits; a head without labels predicts a number."""

    kind: HeadKind
    labels: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def outputs(self) -> int | None:
        """Logits per prediction; None if the vocabulary of the base sets it."""
        return None if self.kind == "seq2seq" else max(1, len(self.labels))


def load_with_head(
    folder: Path,
    head: TaskHead,
    *,
    base: Path | None = None,
    dtype: Precision = "fp32",
    seed: int | None = None,
    dropout: float = 0.0,
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Load a model in evaluation mode on the CPU, and its tokenizer.

    Args:
        folder: a whole model, or an adapter.
        head: what the model predicts.
        base: the folder of an adapter's base.
        dtype: precision of the weights.
        seed: initializes weights of the head that the folder does not have. Without it they are an error.
        dropout: replaces every dropout rate of the config.

    Raises MachineFailure if a folder does not exist, DataError if its files cannot be used, Misuse for an adapter without a
    base or a base that cannot have such a head.
    """
    check_folder_exists(folder)
    if not is_adapter(folder):
        tokenizer = open_tokenizer(folder)
        return _with_generation_config(
            _load_whole_model(folder, head, dtype, seed=seed, dropout=dropout), tokenizer, head, folder
        ), tokenizer
    if base is None:
        hint = "pass the folder of the base that it was trained over as `base`"
        raise Misuse("the folder holds an adapter, but no base was given", where=str(folder), hint=hint)
    check_folder_exists(base)
    check_has_safetensors(folder, "adapter_model*.safetensors")
    tokenizer = open_tokenizer(folder if (folder / "tokenizer.json").is_file() else base)
    base_model = _with_generation_config(
        _load_whole_model(base, head, dtype, seed=0, dropout=dropout), tokenizer, head, base
    )
    try:
        with warnings.catch_warnings():
            for message in IGNORED_PEFT_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            model = PeftModel.from_pretrained(base_model, str(folder), is_trainable=False, autocast_adapter_dtype=False)
    except (ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"the adapter does not fit its base: {error}", where=str(folder)) from error
    return model.eval(), tokenizer


def _with_generation_config(model: Any, tokenizer: PreTrainedTokenizerBase, head: TaskHead, folder: Path) -> Any:
    """The model; an encoder-decoder with the generation config of `TargetTokens`, which is saved with it."""
    if head.kind == "seq2seq":
        model.generation_config = read_target_tokens(model, tokenizer, where=str(folder)).config(model)
    return model


def _load_whole_model(folder: Path, head: TaskHead, dtype: Precision, *, seed: int | None, dropout: float) -> Any:
    check_config(folder)
    check_has_safetensors(folder, "*.safetensors")
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    if head.kind == "seq2seq" and getattr(config, "pad_token_id", None) is None:
        hint = "set pad_token_id in its config.json"
        raise DataError("the base does not define its padding token", where=f"{folder}/config.json", hint=hint)
    has_other_labels = (
        seed is not None and head.kind != "seq2seq" and tuple(config.id2label.values()) != logit_names(head)
    )
    if head.kind != "seq2seq":
        _set_labels(config, head)
    set_dropout(config, dropout)
    try:
        with _quiet_transformers(), torch.random.fork_rng():
            torch.manual_seed(seed or 0)
            loaded: Any = AUTO_CLASSES[head.kind].from_pretrained(
                str(folder),
                config=config,
                dtype=DTYPES[dtype],
                trust_remote_code=False,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=has_other_labels,
            )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise DataError(f"the model cannot be loaded: {error}", where=str(folder)) from error
    model, report = loaded
    _check_sizes(report["mismatched_keys"], model, folder)
    _check_missing(sorted(report["missing_keys"]), model, folder, new_head=seed is not None and head.kind != "seq2seq")
    if has_other_labels:
        _draw_new_output_layer(model, set(report["missing_keys"]), seed=seed or 0)
    return model.eval()


def logit_names(head: TaskHead) -> tuple[str, ...]:
    """Names of the logits in order; a score has one logit."""
    return head.labels or ("score",)


def _draw_new_output_layer(model: Any, initialized: set[str], *, seed: int) -> None:
    """Initialize the output layer of a head that the base has for other labels. Weights in `initialized` are new already."""
    generator = torch.Generator().manual_seed(seed)
    spread = float(getattr(model.config, "initializer_range", 0.02))
    layers = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    outside = [(path, layer) for path, layer in layers if not path.startswith(f"{model.base_model_prefix}.")]
    for path, layer in outside:
        if layer.out_features != model.config.num_labels or f"{path}.weight" in initialized:
            continue
        fresh = torch.empty(layer.weight.shape, dtype=torch.float32).normal_(0.0, spread, generator=generator)
        layer.weight.data.copy_(fresh)
        if layer.bias is not None:
            layer.bias.data.zero_()


def _set_labels(config: Any, head: TaskHead) -> None:
    """Set labels and problem type, as the pipelines of transformers read them."""
    names = logit_names(head)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: at for at, name in enumerate(names)}
    config.problem_type = head.problem


def _check_missing(missing: list[str], model: Any, folder: Path, *, new_head: bool) -> None:
    """Raises DataError for missing weights, except those of a new head."""
    prefix = f"{model.base_model_prefix}."
    bad = [name for name in missing if not new_head or (name.startswith(prefix) and POOLER_PREFIX not in name)]
    if bad:
        raise DataError(f"{len(bad)} weights are missing, the first is {bad[0]}", where=str(folder))


def _check_sizes(mismatched: Iterable[Any], model: Any, folder: Path) -> None:
    """Raises DataError for a weight below the head whose size differs from the config."""
    names = sorted(entry if isinstance(entry, str) else str(entry[0]) for entry in mismatched)
    bad = [name for name in names if name.startswith(f"{model.base_model_prefix}.")]
    if bad:
        raise DataError(
            f"{len(bad)} weights have other sizes than in the config, the first is {bad[0]}", where=str(folder)
        )


def head_module_names(model: Any) -> tuple[str, ...]:
    """Names of the modules that are trained whole next to adapters: everything outside the base model, and its pooler."""
    outside = [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]
    pooled = [] if getattr(model.base_model, "pooler", None) is None or "pooler" in outside else ["pooler"]
    return (*outside, *pooled)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence transformers' warnings about weights of new and unused heads, which are intended."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
