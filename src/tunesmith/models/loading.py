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
"""Beside an adapter that was trained over a base in 4 bits: over the whole base its answers would be others."""

IGNORED_PEFT_WARNINGS: Final = (
    "`is_gradient_checkpointing` is deprecated",
    "Model has `tie_word_embeddings=True` and a tied layer",
)
"""What peft 0.21 warns of: a property that transformers 5.23 has renamed, and a merge that `load_merged` makes exact."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, which needs a base, and not a whole model."""
    return (folder / ADAPTER_CONFIG_FILE).is_file()


def load_folder(
    folder: Path, *, base: Path | None = None, dtype: Precision = "fp32", four_bits: bool = False
) -> tuple[Any, PreTrainedTokenizerBase]:
    """The model in evaluation mode on the CPU, and its tokenizer. For an adapter folder, `base` is its base's folder.

    An adapter stays apart from its base (PeftModel), so what runs is what was trained. The tokenizer of the folder
    itself is used when it has one. With `four_bits` the linear layers but the head are held in 4 bits and computed in
    `dtype`, and the model is on the current CUDA device: the base of QLoRA, and what its adapters were trained over.
    Raises MachineFailure when a folder is not there, DataError when its files cannot be used, Misuse when an adapter
    comes without its base or 4 bits cannot be had here.
    """
    if four_bits:
        check_bitsandbytes("a base in 4 bits", where=str(folder), hint="load it without 4 bits")
    check_folder_exists(folder)
    if not is_adapter(folder):
        return _load_causal_lm(folder, dtype, four_bits), open_tokenizer(folder)
    if base is None:
        hint = "give the folder of the base it was tuned from"
        raise Misuse("the folder holds an adapter, and no base was given", where=str(folder), hint=hint)
    check_folder_exists(base)
    check_has_safetensors(folder, "adapter_model*.safetensors")
    if (folder / QUANTIZATION_FILE).is_file() and not four_bits:
        check_bitsandbytes("an adapter that was trained over a base in 4 bits", where=str(folder), hint="use a GPU")
        four_bits = True
    trunk = _load_causal_lm(base, dtype, four_bits)
    try:
        config = json.loads((folder / ADAPTER_CONFIG_FILE).read_bytes())
        _resize_for_added_tokens(trunk, config)
        with warnings.catch_warnings():
            for message in IGNORED_PEFT_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            # DoRA's magnitudes lose too much in bf16.
            model = PeftModel.from_pretrained(
                trunk, str(folder), is_trainable=False, autocast_adapter_dtype=bool(config.get("use_dora"))
            )
    except (ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"the adapter does not fit its base: {error}", where=str(folder)) from error
    return model.eval(), open_tokenizer(folder if (folder / "tokenizer.json").is_file() else base)


def _resize_for_added_tokens(trunk: Any, config: dict[str, Any]) -> None:
    """Give a base the rows of tokens that were added for its adapter, which has what is in them."""
    given = config.get("trainable_token_indices") or {}
    added = [number for ids in (given.values() if isinstance(given, dict) else [given]) for number in ids]
    if added and max(added) >= trunk.get_input_embeddings().weight.shape[0]:
        trunk.resize_token_embeddings(1 + max(added), mean_resizing=False)


def load_merged(folder: Path, *, base: Path, dtype: Precision = "fp32") -> tuple[Any, PreTrainedTokenizerBase]:
    """The model of an adapter with its matrices added to those of the base: one model without an adapter, and its tokenizer.

    Where the adapter is on one of two layers that share a matrix, head and embeddings, each gets its own first and the config
    says so: peft 0.21 would change both by what is meant for one. Every weight is rounded once, to `dtype`. Raises what
    `load_folder` does, and Misuse for an adapter over a base in 4 bits, whose rounded matrices no whole one can stand for.
    """
    if (folder / QUANTIZATION_FILE).is_file():
        hint = "release the adapter beside its base"
        raise Misuse("an adapter over a base in 4 bits cannot be merged exactly", where=str(folder), hint=hint)
    model, tokenizer = load_folder(folder, base=base, dtype=dtype)
    if not isinstance(model, PeftModel):
        raise Misuse("the folder holds no adapter", where=str(folder), hint="give the folder of an adapter")
    whole: Any = model
    _untie_adapted_head(whole.get_base_model())
    return whole.merge_and_unload().eval(), tokenizer


def without_adapter(model: Any) -> Any | None:
    """The model under a PeftModel with its adapter taken out, or None: for a model without one, for one in 4 bits, and where
    the adapter has more than low-rank matrices: whole modules, rows of the embeddings, biases. The tensors are the base's own:
    nothing is computed, and nothing is rounded."""
    if not isinstance(model, PeftModel) or getattr(model.config, "quantization_config", None) is not None:
        return None
    config: Any = model.peft_config[model.active_adapter]
    if config.modules_to_save or getattr(config, "trainable_token_indices", None) or config.bias != "none":
        return None
    whole: Any = model
    return whole.unload().eval()


def _untie_adapted_head(causal: Any) -> None:
    """Give the head of a model under an adapter a matrix of its own, if an adapter is on it or on the embeddings it shares."""
    pair: list[Any] = [causal.get_output_embeddings(), causal.get_input_embeddings()]
    adapted = [isinstance(layer, BaseTunerLayer) for layer in pair]
    layers = [layer.get_base_layer() if under else layer for layer, under in zip(pair, adapted, strict=True)]
    if layers[0] is None or not any(adapted) or layers[0].weight is not layers[1].weight:
        return
    layers[0].weight = nn.Parameter(layers[0].weight.detach().clone(), requires_grad=False)
    for config in (causal.config, causal.config.get_text_config()):
        config.tie_word_embeddings = False


def load_meta_model(folder: Path, *, dtype: Precision = "fp32") -> tuple[Any, PreTrainedTokenizerBase]:
    """The model without its weights, every tensor on torch's meta device, and its tokenizer; no weight file is opened."""
    check_folder_exists(folder)
    check_config(folder)
    config = _config_without_dropout(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[dtype], trust_remote_code=False)
    return model.eval(), open_tokenizer(folder)


def check_bitsandbytes(what: str, *, where: str, hint: str) -> None:
    """Raises Misuse unless there is a CUDA device and bitsandbytes is installed, both of which `what` needs."""
    if not torch.cuda.is_available():
        raise Misuse(f"{what} needs a CUDA device, and there is none", where=where, hint=hint)
    if find_spec("bitsandbytes") is None:
        raise Misuse(f"{what} needs bitsandbytes, and it is not installed", where=where, hint=f"install it, or {hint}")


def context_length(model: Any) -> int:
    """How many positions the model was made for, prompt and completion together.

    `longrope` ends at its first turning point: one longer row would turn every row of its pass.
    """
    text = model.config.get_text_config()
    rotary = getattr(text, "rope_parameters", None) or {}
    kinds = [rotary, *(value for value in rotary.values() if isinstance(value, dict))]
    turns = [int(kind["original_max_position_embeddings"]) for kind in kinds if kind.get("rope_type") == "longrope"]
    return min([int(text.max_position_embeddings), *turns])


def check_folder_exists(folder: Path) -> None:
    """Raises MachineFailure when there is no such folder."""
    if not folder.is_dir():
        raise MachineFailure("there is no such model folder", where=str(folder), hint="is the disk mounted?")


def check_has_safetensors(folder: Path, pattern: str) -> None:
    """Raises DataError when no file of the folder matches `pattern`; a pickle is named."""
    if any(folder.glob(pattern)):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
    if pickles:
        hint = "a pickle can run code; convert the weights to safetensors"
        raise DataError(f"the weights are a pickle ({pickles[0]})", where=str(folder), hint=hint)
    raise DataError("no .safetensors weights", where=str(folder), hint="safetensors is the only format that is loaded")


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
        # transformers fills missing weights with random numbers and goes on; the answers would be noise.
        raise DataError(f"{len(missing)} weights are missing, the first is {missing[0]}", where=str(folder))
    return model.eval()


def _config_without_dropout(folder: Path) -> Any:
    """The config with all dropout off: a decoder is trained without it, and answers without it in any case."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    set_dropout(config, 0.0)
    return config


def _nf4_config(dtype: Precision) -> BitsAndBytesConfig:
    """4-bit NormalFloat with its scales quantised once more (Dettmers et al. 2023, arXiv 2305.14314), products in `dtype`."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[dtype],
    )


def check_config(folder: Path) -> None:
    """Raises DataError when config.json is missing, is no model config, or asks to run code."""
    path = folder / "config.json"
    if not path.is_file():
        raise DataError("no config.json", where=str(folder), hint="give a folder in the layout of transformers")
    try:
        raw = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(raw, dict) or "auto_map" in raw:
        hint = "only model classes that transformers itself ships are loaded"
        raise DataError("the config asks to run code from its folder (auto_map)", where=str(path), hint=hint)
    try:
        AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"not a model config: {error}", where=str(path)) from error


def open_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder in its fast form, with or without a chat template."""
    if not (folder / "tokenizer.json").is_file():
        raise DataError("no tokenizer.json", where=str(folder), hint="save the tokenizer in its fast form")
    raw = folder / "tokenizer_config.json"
    try:
        own_code = raw.is_file() and "auto_map" in json.loads(raw.read_bytes())
    except (ValueError, TypeError) as error:
        raise DataError(f"not a tokenizer config: {error}", where=str(raw)) from error
    if own_code:
        raise DataError("the tokenizer asks to run code from its folder (auto_map)", where=str(raw))
    try:
        found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"the tokenizer cannot be loaded: {error}", where=str(folder)) from error
    return found
