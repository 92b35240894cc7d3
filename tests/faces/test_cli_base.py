"""`tunesmith base`: list, show and refusals. Downloads are tested with `fetch_base`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path))
    return tmp_path / "bases"


def test_list_has_a_line_and_download_command_per_base(call: Call) -> None:
    outcome = call("base", "list")
    lines = {line.split()[0]: line for line in outcome.out.splitlines()}
    assert (outcome.code, outcome.err) == (0, "")
    assert lines["tunesmith/pebble"].endswith("  in the package")
    assert lines["smollm2-135m-instruct"].endswith("tunesmith base get smollm2-135m-instruct")
    assert lines["qwen3-0.6b"].endswith("tunesmith base get qwen3-0.6b --network")
    named = [entry["name"] for entry in json.loads(call("base", "list", "--json").out)]
    assert named == list(lines)


def test_show_prints_all_details(call: Call) -> None:
    outcome = call("base", "show", "all-minilm-l6-v2")
    assert outcome.code == 0
    for part in (
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "license: Apache-2.0",
        "- encoder",
    ):
        assert part in outcome.out
    assert outcome.out.endswith("cache: tunesmith base get all-minilm-l6-v2\n")
    assert json.loads(call("base", "show", "all-minilm-l6-v2", "--json").out)["family"] == "bert"


@pytest.mark.parametrize("verb", ["get", "show"])
def test_an_unknown_name_is_misuse_with_a_suggestion(call: Call, verb: str) -> None:
    outcome = call("base", verb, "smollm2-135m")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: no base is called 'smollm2-135m'\nhint: did you mean 'smollm2-135m-instruct'")


def test_the_embedded_base_needs_no_download(call: Call) -> None:
    outcome = call("base", "get", "tunesmith/pebble")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing to download" in outcome.err


def test_a_revision_must_be_a_commit_hash(call: Call) -> None:
    outcome = call("base", "get", "qwen3-0.6b", "--network", "--revision", "main")
    assert outcome.code == 2 and "'main' is not a commit hash" in outcome.err


def test_a_hub_download_needs_network_option(call: Call, cache: Path) -> None:
    outcome = call("base", "get", "qwen3-0.6b")
    assert outcome.code == 2
    assert "qwen3-0.6b is on the Hub, and network access is not allowed" in outcome.err
    assert "`tunesmith base get qwen3-0.6b --network`" in outcome.err
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_recipe_whose_base_is_not_there_is_refused_before_the_audit(call: Call, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a", "label": "b"}\n')
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: a\nbase: smollm2-135m-instruct\ntask: classify\ndata: {train: [{path: rows.jsonl}]}\n"
        "train: {method: lora, rows_per_step: 2}\n"
    )
    outcome = call("train", recipe)
    assert outcome.code == 2
    assert "the base smollm2-135m-instruct is not in the local cache" in outcome.err
    assert "hint: run `tunesmith base get smollm2-135m-instruct` to fetch it" in outcome.err
