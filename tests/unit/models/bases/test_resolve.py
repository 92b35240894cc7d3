"""From `base:` of a recipe to files in the store: a name, a mapping, a GGUF file, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.artifacts import ModelRef
from tunesmith.context import Context, SilentProgress
from tunesmith.errors import IntegrityBroken, RecipeError
from tunesmith.models.bases import catalogue
from tunesmith.models.bases.catalogue import BaseEntry
from tunesmith.models.bases.fetch import fetch_base
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.recipe import CatalogueBase, HubBase, parse_recipe
from tunesmith.store import open_store

SHA = "1" * 40


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "home").mkdir(exist_ok=True)
    store = open_store(tmp_path / "store")
    return Context(store=store, data_root=tmp_path / "home", home=tmp_path / "home", progress=SilentProgress())


@pytest.fixture
def gguf(tiny_gguf: Any, tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir(exist_ok=True)
    return tiny_gguf.write_gguf(tmp_path / "home" / "tiny.gguf", tiny_gguf.model(), "Q4_1")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> BaseEntry:
    """A catalogue of the embedded base and one on the Hub."""
    hub = {"kind": "hub", "repo": "them/tiny-base", "revision": SHA}
    value = {"name": "tiny-base", "family": "llama", "parameters": 1, "license": "MIT", "license_source": "its card"}
    made = BaseEntry.model_validate({**value, "sources": [hub], "template": "own", "fits": ["chat"]})
    both = (catalogue.find_entry("tunesmith/pebble"), made)
    monkeypatch.setattr(catalogue, "entries", lambda: both)
    return made


@pytest.fixture
def snapshot(listed: BaseEntry, tiny_gguf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The base in the Hub library's own cache, which is asked without the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    place = tmp_path / "hf" / "models--them--tiny-base"
    folder, blobs = place / "snapshots" / SHA, place / "blobs"
    folder.mkdir(parents=True)
    tiny_gguf.model().save_pretrained(blobs)
    tiny_gguf.tokenizer().save_pretrained(blobs)
    (blobs / "pytorch_model.bin").write_bytes(b"a pickle that was never asked for")
    for blob in blobs.iterdir():
        (folder / blob.name).symlink_to(blob)
    return folder


def test_a_name_that_is_not_in_the_cache_is_refused_with_the_command(
    listed: BaseEntry, context: Context, cache: Path
) -> None:
    for base in ("tiny-base", CatalogueBase(name="tiny-base")):
        with pytest.raises(RecipeError, match="the base tiny-base is not in the local cache") as refused:
            resolve_base(base, context)
        assert refused.value.where == str(cache)
        assert refused.value.hint == (
            "download it with `tunesmith base get tiny-base --network`, or let the run do it: "
            "`base: {name: tiny-base, network: true}`"
        )


def test_a_near_name_is_suggested(context: Context) -> None:
    with pytest.raises(RecipeError, match="no base model at 'smollm2-135m'") as refused:
        resolve_base("smollm2-135m", context)
    assert refused.value.hint.startswith("did you mean 'smollm2-135m-instruct")


def test_a_name_in_the_cache_is_the_base_with_its_licence_and_source(
    snapshot: Path, context: Context, tiny_gguf: Any
) -> None:
    found = fetch_base("tiny-base", SilentProgress())
    model = resolve_base("tiny-base", context)
    assert (model.name, model.tree, model.kind) == ("tiny-base", found.record.tree, "base")
    assert model.parameters == sum(value.numel() for value in tiny_gguf.model().parameters())
    assert model.origin is not None and model.origin.model_dump() == {
        "source": f"Hub them/tiny-base at {SHA}",
        "license": "MIT",
        "license_source": "its card",
        "conversion": "",
        "command": "tunesmith base get tiny-base --network",
        "hub": "them/tiny-base",
    }
    assert context.store.tree(model.tree) == found.record.files
    assert ModelRef.from_bytes(model.canonical()) == model
    for path in found.folder.iterdir():
        path.unlink()
    assert resolve_base("tiny-base", context) == model, "what the store has is enough"


def test_a_base_altered_in_the_cache_never_reaches_the_store(snapshot: Path, context: Context) -> None:
    found = fetch_base("tiny-base", SilentProgress())
    (found.folder / "config.json").write_text("{}")
    with pytest.raises(IntegrityBroken, match=r"config\.json changed since it was cached"):
        resolve_base("tiny-base", context)


def test_the_catalogue_and_the_hub_itself_give_the_same_files(snapshot: Path, context: Context) -> None:
    fetch_base("tiny-base", SilentProgress())
    named = resolve_base("tiny-base", context)
    itself = resolve_base(HubBase(hub="them/tiny-base", revision=SHA), context)
    assert itself.tree == named.tree and itself.name == "them/tiny-base"
    assert itself.origin is not None and itself.origin.license is None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_half_a_snapshot_is_no_base(snapshot: Path, context: Context, cache: Path, name: str) -> None:
    (snapshot / name).unlink()
    with pytest.raises(RecipeError, match="the local Hub cache of the snapshot has no") as refused:
        resolve_base(HubBase(hub="them/tiny-base", revision=SHA), context)
    assert refused.value.where == f"them/tiny-base at {SHA[:12]}"
    with pytest.raises(RecipeError, match="network access is not allowed"):
        fetch_base("tiny-base", SilentProgress())
    assert not (cache / "records").exists()


def test_weights_in_parts_must_all_be_there(snapshot: Path, context: Context) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model-1.safetensors").symlink_to((snapshot / "model.safetensors").resolve())
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(RecipeError, match=r"has no model-2\.safetensors"):
        resolve_base(HubBase(hub="them/tiny-base", revision=SHA), context)


def test_a_snapshot_that_is_nowhere_is_refused(listed: BaseEntry, context: Context) -> None:
    with pytest.raises(RecipeError, match="the base is not in the local Hub cache"):
        resolve_base(HubBase(hub="them/tiny-base", revision="2" * 40), context)


def test_the_embedded_base_has_a_licence_too(context: Context) -> None:
    model = resolve_base("tunesmith/pebble", context)
    assert model.name == "tunesmith/pebble" and model.parameters == 7_261_952
    assert model.origin is not None and (model.origin.license, model.origin.command) == ("Apache-2.0", None)
    assert resolve_base(CatalogueBase(name="tunesmith/pebble"), context) == model


def test_a_gguf_file_is_a_base_and_its_path_stays_here(gguf: Path, context: Context) -> None:
    model = resolve_base("tiny.gguf", context)
    assert model.name == f"local:tiny.gguf@{model.tree[:19]}"
    assert model.origin is not None and model.origin.conversion == "dequantised from Q4_1 (15 tensors) to bf16"
    assert str(gguf.parent) not in model.canonical().decode()
    assert sorted(context.store.tree(model.tree))[:2] == ["chat_template.jinja", "config.json"]
    assert resolve_base(str(gguf), context) == model
    with pytest.raises(RecipeError, match=r"no GGUF file at 'none\.gguf'"):
        resolve_base("none.gguf", context)


def recipe(base: object) -> dict[str, object]:
    data = {"train": [{"path": "a.jsonl"}]}
    return {"name": "a", "base": base, "task": "chat", "data": data, "train": {"method": "lora", "rows_per_step": 2}}


def test_the_forms_of_base_in_a_recipe() -> None:
    assert parse_recipe(recipe("qwen3-0.6b")).base == "qwen3-0.6b"
    named = parse_recipe(recipe({"name": "qwen3-0.6b", "network": True})).base
    assert named == CatalogueBase(name="qwen3-0.6b", network=True)
    with pytest.raises(RecipeError, match=r"unknown key 'base\.netwrok'") as refused:
        parse_recipe(recipe({"name": "qwen3-0.6b", "netwrok": True}))
    assert refused.value.hint == "did you mean 'network'?"
    with pytest.raises(RecipeError, match=r"base\.revision"):
        parse_recipe(recipe({"name": "qwen3-0.6b", "revision": "main"}))
