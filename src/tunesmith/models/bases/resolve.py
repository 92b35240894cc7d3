"""Resolve the recipe's `base:` to a tree of files in the store."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tunesmith.artifacts import BaseOrigin, ModelRef, canonical_bytes
from tunesmith.artifacts.report import LOCAL_PREFIX
from tunesmith.context import Context
from tunesmith.errors import Misuse, RecipeError
from tunesmith.models.bases.cache import BaseRecord, cache_folder, count_all_parameters, count_parameters
from tunesmith.models.bases.catalogue import (
    BaseEntry,
    fetch_command,
    find_entry,
    hub_id,
    is_embedded,
    is_listed,
    suggest_names,
)
from tunesmith.models.bases.fetch import base_from_gguf, cached_base, cached_record, fetch_base
from tunesmith.models.bases.hub import snapshot_files
from tunesmith.models.bases.new_tokenizer import train_tokenizer
from tunesmith.recipe import BaseSettings, CatalogueBase, HubBase, NewBase

GGUF_SUFFIX = ".gguf"
WEIGHT_PATTERNS = ("*.safetensors",)
NAME_DIGEST_CHARACTERS: Final = len("sha256:") + 12
"""Characters of the tree's digest in the name of a local base."""

PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def resolve_base(base: BaseSettings, context: Context, *, texts: Sequence[str] | None = None) -> ModelRef:
    """Put the base's files into the store. `texts` train the tokenizer of a new base.

    Raises RecipeError if the base does not exist, is not downloaded, or has files that are unsafe to load.
    """
    match base:
        case NewBase():
            return _new_base(base, context, texts)
        case HubBase():
            return _from_hub(base, context)
        case CatalogueBase():
            return _from_catalogue(base, context)
        case str():
            return _from_name(base, context)


def _from_hub(base: HubBase, context: Context) -> ModelRef:
    """A Hub snapshot. The store copies the files from the Hub library's cache, where they are links."""
    files = snapshot_files(base.hub, base.revision, network=base.network)
    manifest = {name: context.store.objects.put_file(path) for name, path in files.items()}
    return ModelRef(
        name=base.hub,
        tree=context.store.objects.put(canonical_bytes(manifest)),
        kind="base",
        parameters=sum(count_parameters(path) for name, path in files.items() if name.endswith(".safetensors")),
        origin=BaseOrigin(source=f"Hub {base.hub} at {base.revision}", hub=base.hub),
    )


def _from_name(base: str, context: Context) -> ModelRef:
    """A name: a base of the catalogue, else a `.gguf` file, else a folder."""
    if is_listed(base):
        return _from_catalogue(CatalogueBase(name=base), context)
    if base.endswith(GGUF_SUFFIX):
        return _from_gguf(base, context)
    folder = _local_folder(base, context)
    return _store_folder(folder, folder, context)


def _from_catalogue(base: CatalogueBase, context: Context) -> ModelRef:
    """A catalogue base from the cache; it is downloaded if it is missing and the recipe allows network access."""
    entry = find_entry(base.name)
    if is_embedded(entry.name):
        return _store_folder(embedded_folder(), entry.name, context, base_origin(entry))
    record = cached_record(entry.name, revision=base.revision)
    if record is None:
        if not base.network:
            raise RecipeError(
                f"the base {entry.name} is not in the local cache",
                where=str(cache_folder()),
                hint=f"download it with `{fetch_command(entry, base.revision)}`, or let the run do it: "
                f"`base: {{name: {entry.name}, network: true}}`",
            )
        record = fetch_base(entry.name, context.progress, network=True, revision=base.revision).record
    if not context.store.objects.has(record.tree):
        cached = cached_base(entry.name, revision=base.revision)
        assert cached is not None
        return _store_folder(cached.folder, entry.name, context, base_origin(entry, cached.record, base.revision))
    origin = base_origin(entry, record, base.revision)
    return ModelRef(name=entry.name, tree=record.tree, kind="base", parameters=record.parameters, origin=origin)


def _from_gguf(base: str, context: Context) -> ModelRef:
    path = context.home / base
    if not path.is_file():
        raise RecipeError(f"no GGUF file at {base!r}", where=str(path), hint="give its path relative to the recipe")
    cached = base_from_gguf(path, context.progress)
    origin = BaseOrigin(source=cached.record.source, conversion=cached.record.conversion)
    return _store_folder(cached.folder, path, context, origin)


def base_origin(entry: BaseEntry, record: BaseRecord | None = None, revision: str | None = None) -> BaseOrigin:
    """The origin of a base as stated in the documents of a release."""
    return BaseOrigin(
        source=entry.sources[0].describe() if record is None else record.source,
        license=entry.license,
        license_source=entry.license_source,
        conversion="" if record is None else record.conversion,
        command=None if record is None else fetch_command(entry, revision),
        hub=hub_id(entry),
    )


def embedded_folder() -> Path:
    """Folder of the embedded base inside the package."""
    folder = Path(str(files("tunesmith.models.bases") / "pebble"))
    if not (folder / "config.json").is_file():
        raise Misuse(
            "the embedded base is missing from the installed package", where=str(folder), hint="reinstall tunesmith"
        )
    return folder


def local_base_name(path: Path, tree: str) -> str:
    """Name of a local base in reports, cards and adapters: the last path component and the digest. The full path is not
    published."""
    return f"{LOCAL_PREFIX}{path.resolve().name}@{tree[:NAME_DIGEST_CHARACTERS]}"


def _local_folder(base: str, context: Context) -> Path:
    if base.startswith(LOCAL_PREFIX):
        hint = "write the path of that folder or file under `base`; files with another digest give another model"
        raise RecipeError("the recipe names a local base of another machine", where=base, hint=hint)
    folder = context.home / base
    if not (folder / "config.json").is_file():
        raise RecipeError(
            f"no base model at {base!r}",
            where=str(folder),
            hint=f"{suggest_names(base)}; or give a folder with config.json, a .gguf file, or {{hub: ..., revision: ...}}",
        )
    return folder


def _store_folder(folder: Path, name: str | Path, context: Context, origin: BaseOrigin | None = None) -> ModelRef:
    """Put a folder into the store. A path given as name is replaced by `local_base_name`."""
    for pattern in PICKLE_PATTERNS:
        for path in folder.glob(pattern):
            raise RecipeError(
                f"{path.name} is a pickle, which can run code when loaded",
                where=str(folder),
                hint="convert the weights to safetensors",
            )
    if not any(True for pattern in WEIGHT_PATTERNS for _ in folder.glob(pattern)):
        raise RecipeError(
            "no .safetensors weights",
            where=str(folder),
            hint="convert the weights to safetensors, the only supported format",
        )
    tree = context.store.put_tree(folder)
    shown_name = local_base_name(name, tree) if isinstance(name, Path) else name
    return ModelRef(name=shown_name, tree=tree, kind="base", parameters=count_all_parameters(folder), origin=origin)


def _new_base(base: NewBase, context: Context, texts: Sequence[str] | None) -> ModelRef:
    """A new base: random weights, and a tokenizer trained on the training rows."""
    if texts is None:
        raise RecipeError("a new base needs training rows for its tokenizer")
    path = context.home / base.config
    if not path.is_file():
        raise RecipeError(
            "the model config does not exist",
            where=str(path),
            hint="give its path relative to the recipe: `base: {config: ...}`",
        )
    config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    tokenizer = train_tokenizer(texts, base.tokenizer.train, positions=config.max_position_embeddings)
    config.vocab_size = len(tokenizer)
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(base.seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with TemporaryDirectory(dir=context.store.folder) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return _store_folder(Path(folder), "new", context)
