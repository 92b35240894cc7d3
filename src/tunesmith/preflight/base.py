"""What the base's files show, without any model library: whether it is here, whole, and of the shape that the task needs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tunesmith.data.chat_templates import VETTED, offered
from tunesmith.errors import Misuse, TunesmithError
from tunesmith.models.bases.cache import Cache, cache_folder, count_parameters
from tunesmith.models.bases.catalogue import Fit, fetch_command, find, is_embedded, is_listed, pinned, suggestion
from tunesmith.models.bases.gguf import CONVERTER
from tunesmith.models.bases.gguf import check as check_gguf
from tunesmith.models.shapes import Architecture, misfit
from tunesmith.preflight.fault import Fault
from tunesmith.recipe import CatalogueBase, NewBase, Recipe

FITS: Final[dict[Fit, Architecture]] = {
    "chat": "decoder",
    "text": "decoder",
    "encoder": "encoder",
    "seq2seq": "encoder-decoder",
}
BOTH_WAYS: Final = ("big_bird", "data2vec-text", "electra", "ernie", "roformer", "xmod")
"""Encoders beside those called after BERT that have a class for causal language models too."""

PICKLES: Final = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
INDEX: Final = "model.safetensors.index.json"
WANTED: Final = "give a folder in the layout of transformers"


def base_faults(recipe: Recipe, home: Path) -> Iterator[Fault]:
    """All that stands against `base:`; a path starts at `home`, the recipe's folder. The Hub's library is left to itself."""
    base = recipe.base
    if isinstance(base, NewBase):
        if not (home / base.config).is_file():
            yield Fault("there is no such file", f"base.config: {base.config}", "the path starts at the recipe")
    elif isinstance(base, CatalogueBase):
        yield from _listed(base, recipe)
    elif isinstance(base, str):
        yield from _named(base, recipe, home)


def _named(base: str, recipe: Recipe, home: Path) -> Iterator[Fault]:
    path = home / base
    if is_listed(base):
        yield from _listed(CatalogueBase(name=base), recipe)
    elif base.endswith(".gguf"):
        yield from _gguf(path, recipe)
    elif (path / "config.json").is_file():
        yield from _folder(path, recipe)
    elif base.startswith("local:"):
        hint = "write the path of that folder or file; its files must have that digest to give the same model"
        yield Fault("the recipe names a base of another machine by its digest", f"base: {base}", hint)
    else:
        hint = f"{suggestion(base)}; or give a folder with config.json, a .gguf file, or {{hub: ..., revision: ...}}"
        yield Fault(f"no base model at {base!r}", f"base: {path}", hint)


def _listed(base: CatalogueBase, recipe: Recipe) -> Iterator[Fault]:
    """A base of the catalogue: its shape as the catalogue has it, and whether the cache holds it."""
    try:
        entry = find(base.name)
        sources = () if is_embedded(entry.name) else pinned(entry, base.revision)
        cache = Cache(cache_folder())
        record = next((one for source in sources if (one := cache.record(source.key(CONVERTER))) is not None), None)
    except TunesmithError as error:
        yield Fault(error.what, "base", error.hint)
        return
    yield from _shape(FITS[entry.fits[0]], recipe)
    if sources and record is None and not base.network:
        fetch = fetch_command(entry, base.revision)
        hint = f"`{fetch}` fetches it; or say `base: {{name: {entry.name}, network: true}}`"
        yield Fault(f"the base {entry.name} is not in the local cache", f"base: {cache_folder()}", hint)
    elif entry.template == "none" and FITS[entry.fits[0]] == "decoder":
        yield from _template(entry.name, recipe)


def _gguf(path: Path, recipe: Recipe) -> Iterator[Fault]:
    if not path.is_file():
        yield Fault(f"no GGUF file at {path.name!r}", f"base: {path}", "give its path relative to the recipe")
        return
    try:
        config = check_gguf(path)
    except Misuse as error:
        yield Fault(error.what, f"base: {path.name}", error.hint)
        return
    yield from _shape("decoder", recipe)
    if not config["chat_template"]:
        yield from _template(path.name, recipe)


def _folder(folder: Path, recipe: Recipe) -> Iterator[Fault]:
    config = _json(folder / "config.json")
    if config is None:
        yield Fault("config.json is no JSON object", f"base: {folder}", WANTED)
    elif "auto_map" in config:
        hint = "only model classes that transformers itself ships are loaded"
        yield Fault("the config asks to run code from its folder (auto_map)", f"base: {folder}", hint)
    elif not isinstance(config.get("model_type"), str):
        yield Fault("config.json names no model_type", f"base: {folder}", WANTED)
    yield from _weights(folder)
    if not (folder / "tokenizer.json").is_file():
        yield Fault("no tokenizer.json", f"base: {folder}", "save the tokenizer in its fast form")
    shape = shape_in(config or {})
    if shape is not None:
        yield from _shape(shape, recipe)
    if shape == "decoder" and not _brings_template(folder):
        yield from _template(folder.name, recipe)


def shape_in(config: dict[str, Any]) -> Architecture | None:
    """The shape of a base where its config.json says it beyond doubt; None where only the model library knows."""
    name = str((config.get("architectures") or [""])[0])
    if config.get("is_encoder_decoder") is True:
        return "encoder-decoder"
    if config.get("is_decoder"):
        return None
    if name.endswith("ForMaskedLM"):
        return "encoder"
    if name.endswith("ForCausalLM") and "bert" not in name.lower() and config.get("model_type") not in BOTH_WAYS:
        return "decoder"
    return None


def _shape(shape: Architecture, recipe: Recipe) -> Iterator[Fault]:
    if wrong := misfit(recipe.task.type, shape):
        yield Fault(wrong[0], "task", wrong[1])


def _weights(folder: Path) -> Iterator[Fault]:
    """Only the headers of the files are read: they say how long the files must be."""
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    found = sorted(folder.glob("*.safetensors"))
    if pickles:
        yield Fault(f"{pickles[0]} is a pickle", f"base: {folder}", "convert the weights to safetensors")
    elif not found:
        hint = "safetensors is the only format that is loaded"
        yield Fault("no .safetensors weights", f"base: {folder}", hint)
    for path in found:
        try:
            count_parameters(path)
        except (Misuse, OSError) as error:
            what = error.what if isinstance(error, Misuse) else f"cannot be read: {error.strerror}"
            yield Fault(what, f"base: {path}", "download it again")
    shards = (_json(folder / INDEX) or {}).get("weight_map")
    named = {str(one) for one in shards.values()} if isinstance(shards, dict) else set()
    if missing := sorted(named - {path.name for path in found}):
        yield Fault(
            f"{len(missing)} files of weights are missing, the first is {missing[0]}", f"base: {folder}", "copy it too"
        )


def _template(name: str, recipe: Recipe) -> Iterator[Fault]:
    """A conversation needs a chat template, of the base or of the recipe."""
    task = recipe.task
    if task.type not in ("chat", "classify") or task.chat_template is not None:
        return
    hint = (
        f"say `task: {{type: {task.type}, chat_template: NAME}}` with {offered()}, or a file relative to the recipe; "
        "or take the base's instruct version; task: text needs none"
    )
    yield Fault(f"the base {name} has no chat template, and the task is {task.type}", "base", hint)


def template_faults(recipe: Recipe, home: Path) -> Iterator[Fault]:
    """A chat template of the recipe that is neither known nor a file."""
    name = recipe.task.chat_template
    if name is not None and name not in VETTED and not (home / name).is_file():
        yield Fault(
            f"no chat template {name!r}", "task.chat_template", f"give {offered()}, or a file relative to the recipe"
        )


def _brings_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or any(folder.glob("additional_chat_templates/*")):
        return True
    return any(
        (_json(folder / name) or {}).get("chat_template") for name in ("tokenizer_config.json", "chat_template.json")
    )


def _json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
