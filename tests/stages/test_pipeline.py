"""The whole run on a tiny base: what is done is done, what depends on a change is redone, what is refused says why."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith import pipeline
from tunesmith.errors import Misuse, RecipeError, Refused, StoreLocked
from tunesmith.recipe import Recipe, load_recipe
from tunesmith.trust import load_public_pem, make_key, verify_release

CONFIG = Path(__file__).parents[1] / "tiny_config.json"
COLOURS = ("red", "green", "blue")
THINGS = "lamp kettle rug pot mug fork pan box hat sock coat ring bell drum harp flute"


def rows(start: int, count: int) -> list[dict]:
    words = THINGS.split()
    return [
        {"text": f"the {words[n % 16]} number {n} is {COLOURS[n % 3]}, I looked twice", "label": COLOURS[n % 3]}
        for n in range(start, start + count)
    ]


def write(folder: Path, changes: dict | None = None) -> Path:
    (folder / "config.json").write_text(CONFIG.read_text())
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(0, 60)))
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(100, 24)))
    source = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    recipe = {
        "name": "colours",
        "base": {"config": "config.json", "tokenizer": {"train": 400}, "seed": 1},
        "task": "classify",
        "data": {"train": [{"path": "train.jsonl", **source}], "test": [{"path": "test.jsonl", **source}]},
        "audit": {"off": ["near-duplicate", "split-leakage"]},
        "train": {"method": "full", "rows_per_step": 8, "epochs": 1, "learning_rate": 0.003},
        "evaluate": {"max_new_tokens": 4, "resamples": 200, "baselines": ["majority"]},
        "gate": [{"metric": "exact-match", "at_least": 0.0}],
        **(changes or {}),
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    if not (folder / "release.pem").exists():
        make_key(folder / "release.pem")
    return path


def go(path: Path, **options: object) -> pipeline.RunResult:
    recipe: Recipe = load_recipe(path)
    return pipeline.run(recipe, pipeline.open_context(path), **options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pipeline.RunResult]:
    path = write(tmp_path_factory.mktemp("colours"))
    return path, go(path)


def test_a_run_ends_in_a_release_that_verifies(done: tuple[Path, pipeline.RunResult]) -> None:
    path, result = done
    assert result.release is not None and result.reused == ()
    verified = verify_release(Path(result.release.folder), load_public_pem(path.parent / "release.pem"))
    assert (verified.name, verified.version) == ("colours", 1)


def test_a_release_is_readable_by_others(done: tuple[Path, pipeline.RunResult]) -> None:
    _, result = done
    assert result.release is not None
    assert {path.stat().st_mode & 0o777 for path in Path(result.release.folder).glob("*.*")} == {0o644}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_goes_all_the_way_and_loads_in_peft(done: tuple[Path, pipeline.RunResult]) -> None:
    path, _ = done
    train = {"method": "lora", "rank": 4, "rows_per_step": 8, "epochs": 1, "learning_rate": 0.003}
    result = go(write(path.parent, {"name": "adapter", "train": train}))
    write(path.parent)
    assert result.release is not None and result.train is not None
    folder = Path(result.release.folder)
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    tuned = PeftModel.from_pretrained(base, str(folder))
    ids = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        [{"role": "user", "content": "the lamp"}], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    with torch.no_grad(), tuned.disable_adapter():
        plain = tuned(input_ids=ids).logits
    with torch.no_grad():
        moved = tuned(input_ids=ids).logits
    assert not torch.equal(plain, moved)
    assert result.train.trainable_parameters < result.train.model.parameters


def test_a_second_run_finds_every_stage_done(done: tuple[Path, pipeline.RunResult]) -> None:
    path, first = done
    second = go(path)
    assert second.reused == ("audit", "train", "evaluate", "gate", "release")
    assert second.release is not None and first.release is not None
    assert second.release.digest() == first.release.digest()


def test_made_again_the_reports_have_the_same_digests(done: tuple[Path, pipeline.RunResult]) -> None:
    path, first = done
    again = go(path, until="gate", again=True)
    assert again.reused == ()
    for name in ("audit", "train", "evaluation", "gate"):
        assert getattr(again, name).digest() == getattr(first, name).digest(), name


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"gate": [{"metric": "macro-f1", "at_least": 0.0}]}, ("audit", "train", "evaluate")),
        ({"evaluate": {"max_new_tokens": 5, "resamples": 200, "baselines": ["majority"]}}, ("audit", "train")),
        ({"train": {"method": "full", "rows_per_step": 8, "epochs": 1, "learning_rate": 0.002}}, ("audit",)),
        ({"audit": {"off": ["near-duplicate", "split-leakage", "hidden-unicode"]}}, ("train", "evaluate", "gate")),
    ],
    ids=["gate", "evaluate", "train", "audit"],
)
def test_a_change_redoes_only_what_depends_on_it(
    done: tuple[Path, pipeline.RunResult], changes: dict, kept: tuple[str, ...]
) -> None:
    path, _ = done
    assert go(write(path.parent, changes), until="gate").reused == kept
    write(path.parent)


def test_changed_rows_are_never_done_already(tmp_path: Path) -> None:
    path = write(tmp_path)
    go(path, until="audit")
    lines = (tmp_path / "train.jsonl").read_text().splitlines()
    (tmp_path / "train.jsonl").write_text("\n".join(lines[1:]) + "\n")
    assert go(path, until="audit").reused == ()


def test_a_gate_that_fails_releases_nothing_and_says_why(done: tuple[Path, pipeline.RunResult]) -> None:
    path, _ = done
    failing = write(path.parent, {"name": "strict", "gate": [{"metric": "exact-match", "at_least": 0.999}]})
    with pytest.raises(Refused, match="exact-match at least 0.999") as refusal:
        go(failing)
    assert not (path.parent / "releases" / "strict").exists()
    page = path.parent / ".tunesmith" / "reports" / "strict.html"
    assert page.name in refusal.value.hint and "exact-match" in page.read_text()
    write(path.parent)


def test_an_empty_policy_never_passes(done: tuple[Path, pipeline.RunResult]) -> None:
    path, _ = done
    with pytest.raises(RecipeError, match="an empty policy never passes"):
        go(write(path.parent, {"gate": []}))
    assert go(path, until="gate").gate.outcome == "inconclusive"
    write(path.parent)


def test_a_block_stops_before_training(tmp_path: Path) -> None:
    path = write(tmp_path, {"audit": {"block": ["exact-duplicate"], "off": ["near-duplicate", "split-leakage"]}})
    text = (tmp_path / "train.jsonl").read_text()
    (tmp_path / "train.jsonl").write_text(text + text.splitlines()[0] + "\n")
    with pytest.raises(Refused, match="exact-duplicate") as refusal:
        go(path)
    assert refusal.value.where == "train.jsonl:61"


def test_dropped_rows_stand_in_a_file_with_their_reasons(tmp_path: Path) -> None:
    path = write(tmp_path, {"audit": {"off": ["near-duplicate", "split-leakage"]}})
    text = (tmp_path / "train.jsonl").read_text()
    (tmp_path / "train.jsonl").write_text(text + text.splitlines()[2] + "\n")
    result = go(path, until="audit")
    assert result.page is not None
    (line,) = result.page.with_suffix(".quarantine.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["rule"], row["line"], row["other"]["line"]) == ("exact-duplicate", 61, 3)


def test_a_training_report_made_elsewhere_is_used_only_where_it_fits(done: tuple[Path, pipeline.RunResult]) -> None:
    path, result = done
    context = pipeline.open_context(path)
    digest = context.store.put(result.train)
    used = go(path, until="train", use=digest)
    assert used.train is not None and used.train.digest() == result.train.digest()
    other = write(path.parent, {"train": {"method": "full", "rows_per_step": 4, "learning_rate": 0.003}})
    with pytest.raises(Misuse, match="settings differ"):
        go(other, until="train", use=digest)
    write(path.parent)


def test_two_runs_in_one_store_do_not_mix(done: tuple[Path, pipeline.RunResult]) -> None:
    path, _ = done
    context = pipeline.open_context(path)
    with context.store.lock("first"), pytest.raises(StoreLocked, match="run first"):
        pipeline.run(load_recipe(path), replace(context), until="audit")
