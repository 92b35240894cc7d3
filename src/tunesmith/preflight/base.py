"""Faults of the base that its files show without a model library: missing files, broken files, wrong architecture."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tunesmith.chat.vetted_templates import VETTED_TEMPLATES, template_names
from tunesmith.errors import Misuse, TunesmithError
from tunesmith.models.bases.cache import BaseCache, cache_folder, count_parameters
from tunesmith.models.bases.catalogue import (
    BaseUse,
    fetch_command,
    find_entry,
    is_embedded,
    is_listed,
    pinned_sources,
    suggest_names,
)
from tunesmith.models.bases.gguf import CONVERTER_VERSION, check_gguf
from tunesmith.models.task_support import Architecture, task_mismatch
from tunesmith.preflight.fault import Fault
from tunesmith.recipe import CatalogueBase, NewBase, Recipe

FIT_ARCHITECTURES: Final[dict[BaseUse, Architecture]] = {
    "chat": "decoder",
    "text": "decoder",
    "encoder": "encoder",
    "seq2seq": "encoder-decoder",
}
AMBIGUOUS_MODEL_TYPES: Final = ("big_bird", "data2vec-text", "electra", "ernie", "roformer", "xmod")
"""Encoder types, besides those named after BERT, that also have a class for causal language models."""

PICKLE_SUFFIXES: Final = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
WEIGHT_INDEX_FILE: Final = "model.safetensors.index.json"
FOLDER_HINT: Final = "use a model folder in the layout of transformers"


def base_faults(recipe: Recipe, home: Path) -> Iterator[Fault]:
    """The faults of `base:`; paths are relative to `home`, the recipe's folder. Bases on the Hub are not checked."""
    base = recipe.base
    if isinstance(base, NewBase):
        if not (home / base.config).is_file():
            yield Fault("no such file", f"base.config: {base.config}", "the path is relative to the recipe")
    elif isinstance(base, CatalogueBase):
        yield from _catalogue_faults(base, recipe)
    elif isinstance(base, str):
        yield from _named_base_faults(base, recipe, home)


def _named_base_faults(base: str, recipe: Recipe, home: Path) -> Iterator[Fault]:
    path = home / base
    if is_listed(base):
        yield from _catalogue_faults(CatalogueBase(name=base), recipe)
    elif base.endswith(".gguf"):
        yield from _gguf_faults(path, recipe)
    elif (path / "config.json").is_file():
        yield from _folder_faults(path, recipe)
    elif base.startswith("local:"):
        hint = "set the path of that folder or file; files with the same digest give the same model"
        yield Fault("the recipe names a base of another machine by its digest", f"base: {base}", hint)
    else:
        hint = f"{suggest_names(base)}; or use a folder with config.json, a .gguf file, or {{hub: ..., revision: ...}}"
        yield Fault(f"no base model at {base!r}", f"base: {path}", hint)


def _catalogue_faults(base: CatalogueBase, recipe: Recipe) -> Iterator[Fault]:
    """A base of the catalogue: its architecture, and whether it is in the local cache."""
    try:
        entry = find_entry(base.name)
        sources = () if is_embedded(entry.name) else pinned_sources(entry, base.revision)
        cache = BaseCache(cache_folder())
        record = next(
            (cached for source in sources if (cached := cache.record(source.key(CONVERTER_VERSION))) is not None), None
        )
    except TunesmithError as error:
        yield Fault(error.what, "base", error.hint)
        return
    yield from _architecture_faults(FIT_ARCHITECTURES[entry.fits[0]], recipe)
    if sources and record is None and not base.network:
        fetch = fetch_command(entry, base.revision)
        hint = f"run `{fetch}` to fetch it, or set `base: {{name: {entry.name}, network: true}}`"
        yield Fault(f"the base {entry.name} is not in the local cache", f"base: {cache_folder()}", hint)
    elif entry.template == "none" and FIT_ARCHITECTURES[entry.fits[0]] == "decoder":
        yield from _missing_template_faults(entry.name, recipe)


def _gguf_faults(path: Path, recipe: Recipe) -> Iterator[Fault]:
    if not path.is_file():
        yield Fault(f"no GGUF file at {path.name!r}", f"base: {path}", "set its path, relative to the recipe")
        return
    try:
        config = check_gguf(path)
    except Misuse as error:
        yield Fault(error.what, f"base: {path.name}", error.hint)
        return
    yield from _architecture_faults("decoder", recipe)
    if not config["chat_template"]:
        yield from _missing_template_faults(path.name, recipe)


def _folder_faults(folder: Path, recipe: Recipe) -> Iterator[Fault]:
    config = _read_json(folder / "config.json")
    if config is None:
        yield Fault("config.json is not a JSON object", f"base: {folder}", FOLDER_HINT)
    elif "auto_map" in config:
        hint = "use a model class that transformers itself ships"
        yield Fault("the config runs code from its folder (auto_map), which is not supported", f"base: {folder}", hint)
    elif not isinstance(config.get("model_type"), str):
        yield Fault("config.json has no model_type", f"base: {folder}", FOLDER_HINT)
    yield from _weight_faults(folder)
    if not (folder / "tokenizer.json").is_file():
        yield Fault("no tokenizer.json", f"base: {folder}", "save the fast tokenizer with `save_pretrained`")
    shape = architecture_from_config(config or {})
    if shape is not None:
        yield from _architecture_faults(shape, recipe)
    if shape == "decoder" and not _has_template(folder):
        yield from _missing_template_faults(folder.name, recipe)


def architecture_from_config(config: dict[str, Any]) -> Architecture | None:
    """The architecture of a base where its config.json is unambiguous; None where only the model library can tell."""
    name = str((config.get("architectures") or [""])[0])
    if config.get("is_encoder_decoder") is True:
        return "encoder-decoder"
    if config.get("is_decoder"):
        return None
    if name.endswith("ForMaskedLM"):
        return "encoder"
    if (
        name.endswith("ForCausalLM")
        and "bert" not in name.lower()
        and config.get("model_type") not in AMBIGUOUS_MODEL_TYPES
    ):
        return "decoder"
    return None


def _architecture_faults(shape: Architecture, recipe: Recipe) -> Iterator[Fault]:
    if wrong := task_mismatch(recipe.task.type, shape):
        yield Fault(wrong[0], "task", wrong[1])


def _weight_faults(folder: Path) -> Iterator[Fault]:
    """Faults of the weight files; only headers are read, which state how long the files must be."""
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
    weights = sorted(folder.glob("*.safetensors"))
    if pickles:
        yield Fault(
            f"{pickles[0]} is a pickle file, which is not loaded",
            f"base: {folder}",
            "convert the weights to safetensors",
        )
    elif not weights:
        hint = "convert the weights to safetensors, the only supported format"
        yield Fault("no .safetensors weights", f"base: {folder}", hint)
    for path in weights:
        try:
            count_parameters(path)
        except (Misuse, OSError) as error:
            what = error.what if isinstance(error, Misuse) else f"cannot be read: {error.strerror}"
            yield Fault(what, f"base: {path}", "download it again")
    shards = (_read_json(folder / WEIGHT_INDEX_FILE) or {}).get("weight_map")
    names = {str(name) for name in shards.values()} if isinstance(shards, dict) else set()
    if missing := sorted(names - {path.name for path in weights}):
        yield Fault(
            f"{len(missing)} weight files are missing (first: {missing[0]})",
            f"base: {folder}",
            "copy all files of the base",
        )


def _missing_template_faults(name: str, recipe: Recipe) -> Iterator[Fault]:
    """A conversation needs a chat template, of the base or of the recipe."""
    task = recipe.task
    if task.type not in ("chat", "classify") or task.chat_template is not None:
        return
    hint = (
        f"set `task: {{type: {task.type}, chat_template: NAME}}` with {template_names()}, or a Jinja file relative to the "
        "recipe; or use the base's instruct version; `task: text` needs no template"
    )
    yield Fault(f"the base {name} has no chat template, and the task is {task.type}", "base", hint)


def template_faults(recipe: Recipe, home: Path) -> Iterator[Fault]:
    """The chat template of the recipe, when it is neither a known name nor a file."""
    name = recipe.task.chat_template
    if name is not None and name not in VETTED_TEMPLATES and not (home / name).is_file():
        yield Fault(
            f"no chat template {name!r}",
            "task.chat_template",
            f"use {template_names()}, or a Jinja file relative to the recipe",
        )


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or any(folder.glob("additional_chat_templates/*")):
        return True
    return any(
        (_read_json(folder / name) or {}).get("chat_template")
        for name in ("tokenizer_config.json", "chat_template.json")
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None when the file has none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
