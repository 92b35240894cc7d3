"""From the recipe's `base:` to a folder of files in the store."""

import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tunesmith import process
from tunesmith.artifacts import ModelRef
from tunesmith.artifacts.report import LOCAL
from tunesmith.context import Context
from tunesmith.errors import Misuse, RecipeError
from tunesmith.recipe import BaseSettings, HubBase, NewBase

process.prepare()

import torch  # noqa: E402
from safetensors import safe_open  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

from tunesmith.models.bases.template import train_tokenizer  # noqa: E402

EMBEDDED = "tunesmith/pebble"
WEIGHT_FILES = ("*.safetensors",)
SHOWN: Final = len("sha256:") + 12
"""Characters of a tree's digest that stand in the name of a local base."""

UNSAFE = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


def resolve_base(base: BaseSettings, context: Context, *, texts: Sequence[str] | None = None) -> ModelRef:
    """Put the base's files into the store; `texts` train a new base's tokenizer.

    Raises RecipeError when it is not there or is not safe to load.
    """
    match base:
        case NewBase():
            return _new(base, context, texts)
        case HubBase():
            return _keep(_hub_folder(base), base.hub, context)
        case str() if base == EMBEDDED:
            return _keep(embedded_folder(), EMBEDDED, context)
        case str():
            return _keep(_local_folder(base, context), None, context)


def embedded_folder() -> Path:
    """The folder of the embedded base inside the package."""
    folder = Path(str(files("tunesmith.models.bases") / "pebble"))
    if not (folder / "config.json").is_file():
        raise Misuse("the embedded base is not installed", where=str(folder), hint="reinstall the package")
    return folder


def local_name(path: Path, tree: str) -> str:
    """What a base on this machine is called, in reports, cards and adapters: no path leaves the machine, its digest does."""
    return f"{LOCAL}{path.resolve().name}@{tree[:SHOWN]}"


def _local_folder(base: str, context: Context) -> Path:
    if base.startswith(LOCAL):
        hint = (
            "write the path of that folder or file under `base`; its files must have that digest to give the same model"
        )
        raise RecipeError("the recipe names a base of another machine by its digest", where=base, hint=hint)
    folder = context.home / base
    if not (folder / "config.json").is_file():
        raise RecipeError(
            f"no base model at {base!r}",
            where=str(folder),
            hint=f"give {EMBEDDED!r}, a folder with config.json, or a Hub id",
        )
    return folder


def _hub_folder(base: HubBase) -> Path:
    if base.network:
        process.allow_network()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        folder = snapshot_download(
            base.hub, revision=base.revision, allow_patterns=patterns, local_files_only=not base.network
        )
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise RecipeError(
            f"the base {base.hub} at {base.revision[:12]} is not in the local cache",
            hint="set `network: true` under base, or download it first",
        ) from error
    return Path(folder)


def _keep(folder: Path, name: str | None, context: Context) -> ModelRef:
    """Without a `name` the base is called after its folder and its digest."""
    for pattern in UNSAFE:
        for path in folder.glob(pattern):
            raise RecipeError(f"{path.name} is a pickle", where=str(folder), hint="convert the weights to safetensors")
    if not any(True for pattern in WEIGHT_FILES for _ in folder.glob(pattern)):
        raise RecipeError(
            "no .safetensors weights", where=str(folder), hint="safetensors is the only format that is loaded"
        )
    tree = context.store.put_tree(folder)
    called = local_name(folder, tree) if name is None else name
    return ModelRef(name=called, tree=tree, kind="base", parameters=_count(folder))


def _count(folder: Path) -> int:
    """Parameters of all weight files, read from their headers."""
    return sum(_file_parameters(path) for path in sorted(folder.glob("*.safetensors")))


def _file_parameters(path: Path) -> int:
    with safe_open(path, framework="pt") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118


def _new(base: NewBase, context: Context, texts: Sequence[str] | None) -> ModelRef:
    """Random weights and a tokenizer trained on the training rows."""
    if texts is None:
        raise RecipeError("a base from nothing needs training rows for its tokenizer")
    path = context.home / base.config
    if not path.is_file():
        raise RecipeError("no such model config", where=str(path))
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
        return _keep(Path(folder), "new", context)
