"""Load a causal language model and its tokenizer from a folder: safetensors only, no code from the folder, no network."""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from tunesmith.errors import DataError, MachineFailure, Misuse
from tunesmith.models.dropout import set_dropout

logging.disable_progress_bar()

Precision = Literal["fp32", "bf16"]
DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}

PICKLE_SUFFIXES: Final = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
ADAPTER_CONFIG_FILE: Final = "adapter_config.json"
QUANTIZATION_FILE: Final = "quantization.json"
"""Marks an adapter that was trained over a base in 4 bits: over the unquantized base it would answer differently."""

IGNORED_PEFT_WARNINGS: Final = (
    "`is_gradient_checkpointing` is deprecated",
    "Model has `tie_word_embeddings=True` and a tied layer",
)
"""Warnings of peft 0.21 that a user cannot act on: a property renamed in transformers 5.23, and a merge that `load_merged`
makes exact."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, which needs a base, rather than a whole model."""
    return (folder / ADAPTER_CONFIG_FILE).is_file()


def load_folder(
    folder: Path, *, base: Path | None = None, dtype: Precision = "fp32", four_bits: bool = False
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Load a model in evaluation mode on the CPU, and its tokenizer.

    Args:
        folder: a whole model, or an adapter. An adapter is not merged (PeftModel), so what runs is what was trained. Its own
            tokenizer is used if the folder has one.
        base: the folder of an adapter's base.
        dtype: precision of the weights.
        four_bits: hold the linear layers, except the head, in 4 bits and compute in `dtype`, on the current CUDA device: a
            QLoRA base. Implied by an adapter that was trained over one.

    Raises MachineFailure if a folder does not exist, DataError if its files cannot be used, Misuse for an adapter without a
    base, or for 4 bits on a machine without CUDA or bitsandbytes.
    """
    if four_bits:
        check_bitsandbytes("a base in 4 bits", where=str(folder), hint="load it without 4 bits")
    check_folder_exists(folder)
    if not is_adapter(folder):
        return _load_causal_lm(folder, dtype, four_bits), open_tokenizer(folder)
    if base is None:
        hint = "pass the folder of the base that it was trained over as `base`"
        raise Misuse("the folder holds an adapter, but no base was given", where=str(folder), hint=hint)
    check_folder_exists(base)
    check_has_safetensors(folder, "adapter_model*.safetensors")
    if (folder / QUANTIZATION_FILE).is_file() and not four_bits:
        check_bitsandbytes("an adapter that was trained over a base in 4 bits", where=str(folder), hint="use a GPU")
        four_bits = True
    causal = _load_causal_lm(base, dtype, four_bits)
    try:
        config = json.loads((folder / ADAPTER_CONFIG_FILE).read_bytes())
        _resize_for_added_tokens(causal, config)
        with warnings.catch_warnings():
            for message in IGNORED_PEFT_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            # DoRA's magnitudes lose too much in bf16.
            model = PeftModel.from_pretrained(
                causal, str(folder), is_trainable=False, autocast_adapter_dtype=bool(config.get("use_dora"))
            )
    except (ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"the adapter does not fit its base: {error}", where=str(folder)) from error
    return model.eval(), open_tokenizer(folder if (folder / "tokenizer.json").is_file() else base)


def _resize_for_added_tokens(causal: Any, config: dict[str, Any]) -> None:
    """Add embeddings to a base for tokens that were added in training; the adapter holds their values."""
    indices = config.get("trainable_token_indices") or {}
    added = [number for ids in (indices.values() if isinstance(indices, dict) else [indices]) for number in ids]
    if added and max(added) >= causal.get_input_embeddings().weight.shape[0]:
        causal.resize_token_embeddings(1 + max(added), mean_resizing=False)


def load_merged(folder: Path, *, base: Path, dtype: Precision = "fp32") -> tuple[Any, PreTrainedTokenizerBase]:
    """Load an adapter merged into its base: one model without an adapter, and its tokenizer.

    Every weight is rounded once, to `dtype`. If head and embeddings share a matrix and the adapter is on either, they are
    untied first, since peft 0.21 would change both. Raises what `load_folder` raises, and Misuse for an adapter over a
    base in 4 bits: the sum of a quantized matrix and an adapter is not a quantized matrix.
    """
    if (folder / QUANTIZATION_FILE).is_file():
        hint = "release the adapter together with its base"
        raise Misuse("an adapter over a base in 4 bits cannot be merged exactly", where=str(folder), hint=hint)
    model, tokenizer = load_folder(folder, base=base, dtype=dtype)
    if not isinstance(model, PeftModel):
        raise Misuse("the folder holds no adapter", where=str(folder), hint="give the folder of an adapter")
    whole: Any = model
    _untie_adapted_head(whole.get_base_model())
    return whole.merge_and_unload().eval(), tokenizer


def without_adapter(model: Any) -> Any | None:
    """Remove the adapter of a PeftModel and return the base; its tensors are the original ones, bit for bit.

    None if there is no adapter, if the base is in 4 bits, or if the adapter has more than low-rank matrices (whole modules,
    embeddings, biases).
    """
    if not isinstance(model, PeftModel) or getattr(model.config, "quantization_config", None) is not None:
        return None
    config: Any = model.peft_config[model.active_adapter]
    if config.modules_to_save or getattr(config, "trainable_token_indices", None) or config.bias != "none":
        return None
    whole: Any = model
    return whole.unload().eval()


def _untie_adapted_head(causal: Any) -> None:
    """If the head shares its matrix with the embeddings and an adapter is on either, give the head a copy of its own."""
    pair: list[Any] = [causal.get_output_embeddings(), causal.get_input_embeddings()]
    adapted = [isinstance(layer, BaseTunerLayer) for layer in pair]
    layers = [layer.get_base_layer() if is_adapted else layer for layer, is_adapted in zip(pair, adapted, strict=True)]
    if layers[0] is None or not any(adapted) or layers[0].weight is not layers[1].weight:
        return
    layers[0].weight = nn.Parameter(layers[0].weight.detach().clone(), requires_grad=False)
    for config in (causal.config, causal.config.get_text_config()):
        config.tie_word_embeddings = False


def load_meta_model(folder: Path, *, dtype: Precision = "fp32") -> tuple[Any, PreTrainedTokenizerBase]:
    """The model with all tensors on the meta device, so without weights, and its tokenizer. Opens no weight file."""
    check_folder_exists(folder)
    check_config(folder)
    config = _config_without_dropout(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype], trust_remote_code=False)
    return model.eval(), open_tokenizer(folder)


def check_bitsandbytes(what: str, *, where: str, hint: str) -> None:
    """Raises Misuse unless there is a CUDA device and bitsandbytes is installed; `what` needs both."""
    if not torch.cuda.is_available():
        raise Misuse(f"{what} needs a CUDA device, and there is none", where=where, hint=hint)
    if find_spec("bitsandbytes") is None:
        raise Misuse(f"{what} needs bitsandbytes, and it is not installed", where=where, hint=f"install it, or {hint}")


def context_length(model: Any) -> int:
    """How many positions the model has, for prompt and completion together.

    For `longrope`, the length up to which its short factors hold: one longer row would change the factors for every row of its
    batch.
    """
    text = model.config.get_text_config()
    rotary = getattr(text, "rope_parameters", None) or {}
    variants = [rotary, *(value for value in rotary.values() if isinstance(value, dict))]
    limits = [int(rope["original_max_position_embeddings"]) for rope in variants if rope.get("rope_type") == "longrope"]
    return min([int(text.max_position_embeddings), *limits])


def check_folder_exists(folder: Path) -> None:
    """Raises MachineFailure if the folder does not exist."""
    if not folder.is_dir():
        hint = "check the path, and that the disk is mounted"
        raise MachineFailure("the model folder does not exist", where=str(folder), hint=hint)


def check_has_safetensors(folder: Path, pattern: str) -> None:
    """Raises DataError if no file of the folder matches `pattern`; the message names a pickle."""
    if any(folder.glob(pattern)):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
    if pickles:
        hint = "a pickle can run code; convert the weights to safetensors"
        raise DataError(f"the weights are a pickle ({pickles[0]})", where=str(folder), hint=hint)
    hint = "convert the weights to safetensors, the only format that is loaded"
    raise DataError("no .safetensors weights", where=str(folder), hint=hint)


def _load_causal_lm(folder: Path, dtype: Precision, four_bits: bool) -> Any:
    check_config(folder)
    check_has_safetensors(folder, "*.safetensors")
    smaller = (
        {"quantization_config": _nf4_config(dtype), "device_map": {"": torch.cuda.current_device()}}
        if four_bits
        else {}
    )
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            config=_config_without_dropout(folder),
            dtype=DTYPES[dtype],
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **smaller,
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise DataError(f"the model cannot be loaded: {error}", where=str(folder)) from error
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        # transformers fills missing weights with random numbers; the answers would be noise.
        raise DataError(f"{len(missing)} weights are missing, the first is {missing[0]}", where=str(folder))
    return model.eval()


def _config_without_dropout(folder: Path) -> Any:
    """The config with all dropout off: a decoder is neither trained nor run with it."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    set_dropout(config, 0.0)
    return config


def _nf4_config(dtype: Precision) -> BitsAndBytesConfig:
    """4-bit NormalFloat with double quantization (Dettmers et al. 2023, arXiv 2305.14314), computing in `dtype`."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[dtype],
    )


def check_config(folder: Path) -> None:
    """Raises DataError if config.json is missing, is not a model config, or asks to run code."""
    path = folder / "config.json"
    if not path.is_file():
        raise DataError(
            "no config.json", where=str(folder), hint="use a folder as saved by `save_pretrained` of transformers"
        )
    try:
        raw = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(raw, dict) or "auto_map" in raw:
        hint = "use a base whose model class is part of transformers; no other code is run"
        raise DataError("the config asks to run code from its folder (auto_map)", where=str(path), hint=hint)
    try:
        AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"not a model config: {error}", where=str(path)) from error


def open_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The fast tokenizer of a folder, with or without a chat template. Raises DataError if it cannot be used."""
    if not (folder / "tokenizer.json").is_file():
        raise DataError(
            "no tokenizer.json",
            where=str(folder),
            hint="save it as a fast tokenizer of transformers",
        )
    raw = folder / "tokenizer_config.json"
    try:
        runs_code = raw.is_file() and "auto_map" in json.loads(raw.read_bytes())
    except (ValueError, TypeError) as error:
        raise DataError(f"not a tokenizer config: {error}", where=str(raw)) from error
    if runs_code:
        raise DataError("the tokenizer asks to run code from its folder (auto_map)", where=str(raw))
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"the tokenizer cannot be loaded: {error}", where=str(folder)) from error
    return tokenizer
