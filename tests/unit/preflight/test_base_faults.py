"""Faults of the base are told with all others, from its files alone: none of these cases needs a model library or a row."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tunesmith.models.architecture import config_architecture
from tunesmith.preflight import recipe_faults
from tunesmith.preflight.base import architecture_from_config
from tunesmith.recipe import parse_recipe


def loaded(name: str) -> Any:
    spec = spec_from_file_location(name, Path(__file__).parents[2] / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


encoders, models, ggufs = loaded("fixtures_encoders"), loaded("fixtures_models"), loaded("fixtures_gguf")


def recipe(base: Any, task: Any = "chat") -> dict[str, Any]:
    return {
        "name": "desk",
        "base": base,
        "task": task,
        "data": {"train": [{"path": "rows.jsonl"}]},
        "train": {"rows_per_step": 4},
    }


def faults(home: Path, base: Any, task: Any = "chat") -> list[Any]:
    return recipe_faults(parse_recipe(recipe(base, task)), until="audit", home=home, data_root=home)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows and a base of each shape."""
    home = tmp_path_factory.mktemp("bases")
    (home / "rows.jsonl").write_text("{}\n")
    models.make_folder(home / "llama")
    encoders.make_encoder(home / "bert")
    encoders.make_seq2seq(home / "t5")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Links to the files of the bases, to be broken one by one; an empty cache."""
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "cache"))
    for folder in ("llama", "bert", "t5"):
        (tmp_path / folder).mkdir()
        for path in (made / folder).iterdir():
            (tmp_path / folder / path.name).write_bytes(path.read_bytes())
    (tmp_path / "rows.jsonl").write_text("{}\n")
    return tmp_path


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_good_bases_have_no_fault(home: Path) -> None:
    for base, task in (
        ("llama", "chat"),
        ("llama", "classify"),
        ("llama", "text"),
        ("bert", "tag"),
        ("bert", "classify"),
    ):
        assert faults(home, base, task) == []
    assert faults(home, "tunesmith/pebble") == []


BROKEN: dict[str, tuple[str, str, str]] = {
    "cut": ("llama", "model.safetensors", "not a safetensors file"),
    "text": ("llama", "config.json", "config.json is not a JSON object"),
    "none": ("llama", "tokenizer.json", "no tokenizer.json"),
    "gone": ("bert", "model.safetensors", "no .safetensors weights"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_files_are_named(home: Path, how: str) -> None:
    folder, name, what = BROKEN[how]
    path = home / folder / name
    raw = path.read_bytes()
    if how in ("none", "gone"):
        path.unlink()
    else:
        path.write_bytes(raw[: len(raw) // 2])
    found = faults(home, folder, "chat" if folder == "llama" else "tag")
    assert [what in one.what and folder in one.where and bool(one.hint) for one in found] == [True], found


def test_configs_that_run_code_or_lack_a_model_type(home: Path) -> None:
    rewrite(home / "llama" / "config.json", auto_map={"AutoModel": "own.Model"})
    assert ["auto_map" in one.what for one in faults(home, "llama")] == [True]
    (home / "llama" / "config.json").write_text("{}")
    assert ["no model_type" in one.what for one in faults(home, "llama")] == [True]


def test_pickles_and_missing_shards(home: Path) -> None:
    (home / "llama" / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-2.safetensors"}})
    )
    assert [one.what for one in faults(home, "llama")] == ["1 weight files are missing (first: model-2.safetensors)"]
    (home / "bert" / "pytorch_model.bin").write_bytes(b"x")
    assert [one.what for one in faults(home, "bert", "tag")] == [
        "pytorch_model.bin is a pickle file, which is not loaded"
    ]


@pytest.mark.parametrize(
    ("base", "task", "what"),
    [
        ("llama", "tag", "the base is a decoder, and task: tag needs an encoder, e.g. base: all-minilm-l6-v2"),
        ("bert", "chat", "the base is an encoder, and task: chat needs a decoder, e.g. base: smollm2-135m-instruct"),
        (
            "t5",
            "chat",
            "the base is an encoder with a decoder, and task: chat needs a decoder, e.g. base: smollm2-135m-instruct",
        ),
        (
            "tunesmith/pebble",
            "tag",
            "the base is a decoder, and task: tag needs an encoder, e.g. base: all-minilm-l6-v2",
        ),
    ],
)
def test_a_base_whose_architecture_does_not_fit_the_task(home: Path, base: str, task: str, what: str) -> None:
    found = faults(home, base, task)
    assert [(one.what, one.where) for one in found] == [(what, "task")]


def test_a_catalogue_base_must_be_in_the_cache(home: Path) -> None:
    found = faults(home, "smollm2-135m-instruct", "tag")
    assert ["needs an encoder" in one.what or "tunesmith base get smollm2" in one.hint for one in found] == [True, True]
    assert faults(home, {"name": "smollm2-135m-instruct", "network": True}) == []
    misspelt = faults(home, {"name": "smolm2-135m-instruct"})
    assert ["did you mean 'smollm2-135m-instruct'" in one.hint for one in misspelt] == [True]
    assert ["did you mean" in one.hint for one in faults(home, "smollm2-135m-instrct")] == [True]


def test_a_base_without_a_template(home: Path) -> None:
    (home / "llama" / "chat_template.jinja").unlink(missing_ok=True)
    raw = json.loads((home / "llama" / "tokenizer_config.json").read_text())
    raw.pop("chat_template", None)
    (home / "llama" / "tokenizer_config.json").write_text(json.dumps(raw))
    assert ["has no chat template, and the task is chat" in one.what for one in faults(home, "llama")] == [True]
    assert faults(home, "llama", "text") == faults(home, "llama", {"type": "chat", "chat_template": "plain"}) == []
    found = faults(home, "llama", {"type": "chat", "chat_template": "plian"})
    assert [one.where for one in found] == ["task.chat_template"]


def test_broken_and_missing_gguf_files(home: Path) -> None:
    (home / "model.gguf").write_bytes(b"GGML" + bytes(100))
    assert [(one.what, one.where) for one in faults(home, "model.gguf")] == [("not a GGUF file", "base: model.gguf")]
    assert ["no GGUF file" in one.what for one in faults(home, "none.gguf")] == [True]


def test_a_gguf_is_checked_by_its_header(home: Path) -> None:
    """Finds what the conversion would reject before it writes; weight values are checked later."""
    whole = ggufs.write_gguf(home / "whole.gguf", ggufs.model())
    assert faults(home, "whole.gguf", {"type": "chat", "chat_template": "plain"}) == []
    assert ["needs an encoder" in one.what for one in faults(home, "whole.gguf", "tag")] == [True]
    raw = whole.read_bytes()
    counts = raw[:8] + (2**60).to_bytes(8, "little") * 2 + raw[24:]
    eos = raw.index(b"tokenizer.ggml.eos_token_id") + len(b"tokenizer.ggml.eos_token_id") + 4
    cases = {
        "cut": (raw[: len(raw) * 2 // 3], "it is truncated or damaged"),
        "counts": (counts, "the file is truncated or damaged"),
        "family": (raw.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba", 1), "'mamba' is not supported"),
        "ids": (
            raw[:eos] + (2**31).to_bytes(4, "little") + raw[eos + 4 :],
            "tokenizer.ggml.eos_token_id is 2147483648, but there are",
        ),
        "version": (raw[:4] + (99).to_bytes(4, "little") + raw[8:], "GGUF version 99 is not supported"),
    }
    for name, (content, what) in cases.items():
        (home / f"{name}.gguf").write_bytes(content)
        found = faults(home, f"{name}.gguf", "text")
        assert [what in one.what and one.where == f"base: {name}.gguf" for one in found] == [True], (name, found)


def test_a_missing_file_of_rows_no_longer_hides_a_misspelt_base(home: Path) -> None:
    (home / "rows.jsonl").unlink()
    assert [one.where for one in faults(home, "lama")] == ["data.train.0: rows.jsonl", f"base: {home / 'lama'}"]


def test_no_model_library_is_loaded(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tunesmith.preflight import recipe_faults; "
        f"from tunesmith.recipe import parse_recipe; home = Path({str(home)!r}); "
        f"found = [recipe_faults(parse_recipe(one), until='audit', home=home, data_root=home) for one in "
        f"({recipe('llama', 'tag')!r}, {recipe('bert')!r}, {recipe('model.gguf')!r})]; "
        "print(len(found), [name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3 []"


def test_the_shape_that_is_read_is_the_one_that_transformers_says(tmp_path: Path) -> None:
    """Of every stock config: the class that saved it is written into it, as `save_pretrained` does."""
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    named = [modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES]
    known = 0
    for kind, name in [pair for table in named for pair in table.items()]:
        try:
            config = AutoConfig.for_model(kind)
        except Exception:  # noqa: BLE001 - a few stock configs need a library that is not here
            continue
        config.architectures = [name if isinstance(name, str) else name[0]]
        written = json.loads(config.to_json_string())
        said = architecture_from_config(written)
        if said is not None:
            assert said == config_architecture(config), kind
            known += 1
    assert known > 100
