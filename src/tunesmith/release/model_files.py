"""Model files of a release: copied from the store unchanged, or rounded to bfloat16."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tunesmith.artifacts import ModelRef
from tunesmith.errors import IntegrityBroken
from tunesmith.recipe import ReleaseSettings
from tunesmith.store import Store
from tunesmith.store.objects import disk_errors, write_atomic
from tunesmith.trust.files import digest_file

BASE_FOLDER: Final = "base"
"""Folder for the base model's files in the release of an adapter."""

MAX_INCLUDED_BASE_BYTES: Final = 64 * 1024 * 1024
"""A base below this size is included with its adapter, so that the release loads without further downloads."""

ADAPTER_CONFIG: Final = "adapter_config.json"
GENERATION_CONFIG: Final = "generation_config.json"
WEIGHT_INDEX: Final = "model.safetensors.index.json"


def copy_model(
    target: Path, model: ModelRef, settings: ReleaseSettings, *, store: Store, max_answer_tokens: int | None = None
) -> dict[str, str]:
    """Copy weights, tokenizer and template to `target`. Returns {path: SHA-256 hex} of the written files.

    With `precision: bf16` the weights are rounded; with fp32 they keep their training precision. `max_answer_tokens`, the answer
    limit of an encoder-decoder, is written to generation_config.json so that `generate` stops where the evaluation did.
    """
    names = copy_tree(store, model.tree, target)
    if settings.precision == "bf16":
        _round_weights(target, names)
    if model.kind == "adapter":
        _set_base_name(target / ADAPTER_CONFIG, model.name)
    if max_answer_tokens is not None:
        _edit_json(
            target / GENERATION_CONFIG, lambda config, _folder: config.update(max_new_tokens=max_answer_tokens), target
        )
    return {name: digest_file(target / name) for name in names}


def copy_base(target: Path, base: ModelRef, *, store: Store) -> bool:
    """Copy the files of a small base to `base/`. Returns False, without copying, for a larger base."""
    if (
        sum(store.objects.path(digest).stat().st_size for digest in store.tree(base.tree).values())
        >= MAX_INCLUDED_BASE_BYTES
    ):
        return False
    copy_tree(store, base.tree, target / BASE_FOLDER)
    return True


def copy_tree(store: Store, tree: str, target: Path) -> list[str]:
    """Copy every file of a tree and verify each copy. Returns relative paths. Raises IntegrityBroken on an altered file."""
    source = store.checkout(tree)
    manifest = store.tree(tree)
    for name, digest in manifest.items():
        path = target / name
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, path)
        if f"sha256:{digest_file(path)}" != digest:
            hint = "delete this folder and run again; it is rebuilt from the objects in the store"
            raise IntegrityBroken("a checked-out file was modified", where=str(source / name), hint=hint)
    return list(manifest)


def stored_precision(folder: Path) -> str:
    """Data types of the released weights according to their safetensors headers, e.g. `F32` or `BF16`."""
    kinds: set[str] = set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as weights:
            kinds |= {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
    return ", ".join(sorted(kinds))


def _round_weights(folder: Path, names: list[str]) -> None:
    for name in names:
        if name.endswith(".safetensors"):
            _round_file(folder / name)
    for name in ("config.json", WEIGHT_INDEX):
        if (folder / name).is_file():
            _edit_json(folder / name, _update_total_size if name == WEIGHT_INDEX else _declare_bfloat16, folder)


def _round_file(path: Path) -> None:
    with safe_open(path, framework="pt") as weights:
        metadata = weights.metadata()
    tensors = load_file(path)
    rounded = {
        name: value.to(torch.bfloat16) if value.is_floating_point() else value for name, value in tensors.items()
    }
    temporary = path.with_suffix(".rounding")
    with disk_errors(path):
        save_file(rounded, temporary, metadata=metadata)
        temporary.replace(path)


def _edit_json(path: Path, edit: Any, folder: Path) -> None:
    value = json.loads(path.read_bytes())
    edit(value, folder)
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _declare_bfloat16(config: dict[str, Any], _folder: Path) -> None:
    """transformers 5 writes `dtype`; older versions wrote `torch_dtype`."""
    config.pop("torch_dtype", None)
    config["dtype"] = "bfloat16"


def _update_total_size(index: dict[str, Any], folder: Path) -> None:
    total = 0
    for name in sorted(set(index["weight_map"].values())):
        total += sum(value.numel() * value.element_size() for value in load_file(folder / name).values())
    index.setdefault("metadata", {})["total_size"] = total


def _set_base_name(path: Path, base: str) -> None:
    """Replace the path of the training folder by the name of the base."""

    def edit(config: dict[str, Any], _folder: Path) -> None:
        config["base_model_name_or_path"] = base

    _edit_json(path, edit, path.parent)
