"""Every way a recipe can be wrong is told with the file, the key and what to do next."""

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import RecipeError
from tunesmith.recipe import HubBase, NewBase, Recipe, TaskSettings, load_recipe, parse_recipe, recipe_schema

GOOD: dict[str, Any] = {
    "name": "desk",
    "base": "tunesmith/pebble",
    "task": "chat",
    "data": {"train": [{"path": "rows.jsonl"}]},
    "train": {"rows_per_step": 4},
}
SHA = "a" * 40
SCHEMA_HINT = "run `tunesmith show --schema` to see what every key takes"
COMPARE_HINT = "run `tunesmith init` to create a complete recipe"


def problem(**changes: Any) -> tuple[str, str]:
    """What is said, and the hint, of the good recipe with some keys changed."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe({**GOOD, **changes}, where="recipe.yaml")
    assert caught.value.where == "recipe.yaml"
    return caught.value.what, caught.value.hint


@pytest.mark.parametrize(
    ("changes", "key", "near"),
    [
        ({"trian": {}}, "trian", "train"),
        ({"base": {"cofnig": "c"}}, "base.cofnig", "config"),
        ({"base": {"config": "c", "tokenizer": {"trian": 400}, "seed": 1}}, "base.tokenizer.trian", "train"),
        ({"base": {"hub": "a/b", "revison": SHA}}, "base.revison", "revision"),
        ({"base": {"hub": "a/b", "revision": SHA, "netwrk": True}}, "base.netwrk", "network"),
        ({"task": {"type": "chat", "instrution": "x"}}, "task.instrution", "instruction"),
        ({"data": {"train": [{"path": "x"}], "tset": []}}, "data.tset", "test"),
        ({"data": {"train": [{"path": "x"}, {"path": "y", "licence": "MIT"}]}}, "data.train.1.licence", "license"),
        ({"audit": {"blok": []}}, "audit.blok", "block"),
        ({"train": {"rows_per_step": 4, "learningrate": 1}}, "train.learningrate", "learning_rate"),
        ({"evaluate": {"metric": []}}, "evaluate.metric", "metrics"),
        ({"gate": [{"metric": "exact-match", "at_leest": 1}]}, "gate.0.at_leest", "at_least"),
        ({"release": {"licence": "MIT"}}, "release.licence", "license"),
    ],
)
def test_an_unknown_key_gets_the_nearest_at_every_level(changes: dict[str, Any], key: str, near: str) -> None:
    assert problem(**changes) == (f"unknown key {key!r}", f"did you mean {near!r}?")


def test_an_unknown_key_with_nothing_near_gets_the_whole_list() -> None:
    assert problem(zzz=1)[1] == "valid keys: audit, base, data, evaluate, gate, name, release, task, train"
    assert problem(base={"hub": "a/b", "revision": SHA, "zzz": 1})[1] == "valid keys: hub, network, revision"
    assert problem(base={"zzz": 1})[1] == "valid keys: config, seed, tokenizer"


def test_an_unknown_key_is_said_before_what_follows_from_it() -> None:
    assert problem(train={"row_per_step": 4}) == ("unknown key 'train.row_per_step'", "did you mean 'rows_per_step'?")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"base": {"hub": "a/b"}}, "the key 'base.revision' is missing"),
        ({"base": {"config": "c", "tokenizer": {"train": 400}}}, "the key 'base.seed' is missing"),
        ({"task": {"instruction": "x"}}, "the key 'task.type' is missing"),
        ({"data": {"test": []}}, "the key 'data.train' is missing"),
        ({"gate": [{"at_least": 1}]}, "the key 'gate.0.metric' is missing"),
    ],
)
def test_a_missing_key_is_named(changes: dict[str, Any], what: str) -> None:
    assert problem(**changes) == (what, COMPARE_HINT)


def test_a_source_names_a_file() -> None:
    assert problem(data={"train": [{"license": "MIT"}]})[0] == "data.train.0: give `path`, or `croissant`"


@pytest.mark.parametrize("key", ["name", "base", "task", "data", "train"])
def test_the_five_keys_that_must_be_there(key: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({name: value for name, value in GOOD.items() if name != key})
    assert caught.value.what == f"the key {key!r} is missing"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"base": {"hub": "a/b", "revision": "main"}},
            "base.revision: String should match pattern '^[0-9a-f]{40}$', got 'main'",
        ),
        (
            {"base": {"config": "c", "tokenizer": {"train": 4}, "seed": 1}},
            "base.tokenizer.train: Input should be greater than or equal to 300, got 4",
        ),
        ({"base": None}, "base: Input should be a valid string, got None"),
        ({"data": {"train": []}}, "data.train: should have at least one entry, got []"),
        ({"data": {"train": {"path": "x"}}}, "data.train: should be a list"),
        ({"audit": {"block": "near-duplicate"}}, "audit.block: should be a list, got 'near-duplicate'"),
        (
            {"audit": {"drop": ["x", {"near-duplicate": 0.8}]}},
            "audit.drop.1.near-duplicate: should be a mapping of keys, got 0.8",
        ),
        ({"train": None}, "train: should be a mapping of keys, got None"),
        ({"train": {}}, "train: give exactly one of rows_per_step and tokens_per_step"),
        (
            {"train": {"rows_per_step": 1, "tokens_per_step": 1}},
            "train: give exactly one of rows_per_step and tokens_per_step",
        ),
        (
            {"train": {"rows_per_step": 4, "keep": "best"}},
            "train: keep: best needs validation rows; set train.validation, e.g. 0.02",
        ),
        (
            {"train": {"rows_per_step": 4, "learning_rate": float("nan")}},
            "train.learning_rate: Input should be a finite number, got nan",
        ),
        (
            {"gate": [{"metric": "m"}]},
            "gate.0: give exactly one of better_than, no_worse_than, at_least and at_most",
        ),
        (
            {"gate": [{"metric": "m", "at_least": 0, "at_most": 0}]},
            "gate.0: give exactly one of better_than, no_worse_than, at_least and at_most",
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_and_shown(changes: dict[str, Any], what: str) -> None:
    assert problem(**changes) == (what, SCHEMA_HINT)


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"name": 2024}, "name"), ({"base": 3}, "base"), ({"audit": {"off": [True]}}, "audit.off.0")],
)
def test_a_number_or_yes_where_text_belongs_wants_quotes(changes: dict[str, Any], key: str) -> None:
    what, hint = problem(**changes)
    assert what.startswith(f"{key}: Input should be a valid string, got ")
    assert hint == "put it in quotes"


@pytest.mark.parametrize(
    ("changes", "what", "hint"),
    [
        ({"task": "chta"}, "task.type: 'chta' is not a valid value", "did you mean 'chat'?"),
        ({"task": "pairs"}, "task.type: 'pairs' is not a valid value", "choose from: chat, classify, seq2seq, tag, text"),
        (
            {"gate": [{"metric": "m", "no_worse_than": "tfidf"}]},
            "gate.0.no_worse_than: 'tfidf' is not a valid value",
            "did you mean 'tfidf-words' or 'tfidf-characters' or 'tfidf-ridge'?",
        ),
        (
            {"gate": [{"metric": "m", "better_than": "bass"}]},
            "gate.0.better_than: 'bass' is not a valid value",
            "did you mean 'base'?",
        ),
    ],
)  # fmt: skip
def test_a_value_that_is_no_choice_gets_the_nearest(changes: dict[str, Any], what: str, hint: str) -> None:
    """Also where the choices come from a union, of which pydantic reports each member."""
    assert problem(**changes) == (what, hint)


REST = "task: chat\ntrain: {rows_per_step: 4}\n"
ROWS = "data: {train: [{path: x}]}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"name: desk\nbase: b\ntask: chta\n{ROWS}train: {{rows_per_step: 4}}\n", 3),
        (f"name: desk\nbase: b\ndata:\n  train:\n    - path: x\n    - path: y\n      licence: MIT\n{REST}", 7),
        (
            f"name: desk\nbase: b\n{ROWS}{REST}gate:\n  - {{metric: a, at_least: 0}}\n  - {{metric: b, at_least: x}}\n",
            8,
        ),
        (f"name: desk\nbase:\n  hub: a/b\n  revision: main\n{ROWS}{REST}", 4),
        (f"name: desk\nbase: b\n{ROWS}task: chat\n", 1),
    ],
)
def test_the_line_of_a_problem_is_named(tmp_path: Path, text: str, line: int) -> None:
    """A key that is missing has no line of its own: the line of what lacks it."""
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.where == f"{path}:{line}"


def test_a_column_may_be_called_like_a_python_type() -> None:
    what, _ = problem(data={"train": [{"path": "x", "columns": {"str": []}}]})
    assert what == "data.train.0.columns.str: Input should be a valid string, got []"


def test_the_three_forms_of_base_and_the_two_of_task_and_check() -> None:
    hub = parse_recipe({**GOOD, "base": {"hub": "a/b", "revision": SHA}})
    new = parse_recipe({**GOOD, "base": {"config": "c", "tokenizer": {"train": 400}, "seed": 1}})
    assert hub.base == HubBase(hub="a/b", revision=SHA, network=False)
    assert new.base == NewBase(config="c", tokenizer={"train": 400}, seed=1)
    assert parse_recipe(GOOD).base == "tunesmith/pebble"
    assert parse_recipe(GOOD).task == parse_recipe({**GOOD, "task": {"type": "chat"}}).task == TaskSettings(type="chat")
    mixed = ["exact-duplicate", {"near-duplicate": {"threshold": 0.7}}]
    assert parse_recipe({**GOOD, "audit": {"drop": mixed}}).audit.drop == tuple(mixed)
    for recipe in (hub, new, parse_recipe(GOOD)):
        assert Recipe.model_validate(recipe.model_dump()) == recipe == Recipe.model_validate(recipe)


def write(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("data", "what", "line", "hint"),
    [
        ("name: [", "not valid YAML: expected the node content, but found '<stream end>'", ":1", "check indentation"),
        ("- name", "a recipe is a mapping of keys", "", "start with `name: ...`"),
        ("", "a recipe is a mapping of keys", "", "start with `name: ...`"),
        (b"name: \xff", "not UTF-8 text", "", "save it as UTF-8"),
        ("name: !!python/object:os.system {}", "not valid YAML: could not determine a constructor", ":1", "check"),
        ("name: a\ntask: chat\nname: b\n", "the key 'name' occurs twice", ":3", "remove one of the two"),
        ("train:\n  rank: 1\n  seed: 2\n  rank: 3\n", "the key 'rank' occurs twice", ":4", "remove one of the two"),
        ("gate:\n- {metric: a, metric: b}\n", "the key 'metric' occurs twice", ":2", "remove one of the two"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, data: str | bytes, what: str, line: str, hint: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.what.startswith(what)
    assert caught.value.where == f"{path}{line}"
    assert caught.value.hint.startswith(hint)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe file") as caught:
        load_recipe(tmp_path / "none.yaml")
    assert caught.value.where == str(tmp_path / "none.yaml")
    assert caught.value.hint == "run `tunesmith init` to create one"


def test_off_on_and_no_are_words_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: desk\nbase: tunesmith/pebble\ntask: chat\n"
        "data: {train: [{path: rows.jsonl, language: no, network: true}]}\n"
        "audit: {off: [outlier]}\ntrain: {rows_per_step: 4, share_prefixes: off}\n"
    )
    recipe = load_recipe(path)
    assert recipe.audit.off == ("outlier",)
    assert recipe.train.share_prefixes == "off"
    assert (recipe.data.train[0].language, recipe.data.train[0].network) == ("no", True)


def test_a_file_equals_its_values(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(GOOD))
    assert load_recipe(path) == parse_recipe(GOOD)


def recipes() -> list[Path]:
    return sorted((Path(__file__).parents[3] / "examples").glob("*/recipe.yaml"))


@pytest.mark.parametrize("path", recipes(), ids=lambda path: path.parent.name)
def test_every_example_is_a_recipe_for_us_and_for_editors(path: Path) -> None:
    import yaml

    assert load_recipe(path).name == path.parent.name
    value = yaml.safe_load(path.read_text())
    assert schema_problems(json.loads(recipe_schema()), value) == []


def test_the_schema_refuses_what_we_refuse() -> None:
    schema = json.loads(recipe_schema())
    assert schema_problems(schema, GOOD) == []
    assert schema_problems(schema, {**GOOD, "base": {"hub": "a/b", "revision": SHA}}) == []
    for wrong in (
        {**GOOD, "trian": {}},
        {**GOOD, "task": "chta"},
        {**GOOD, "task": {"type": "chat", "x": 1}},
        {**GOOD, "base": {"hub": "a/b", "revision": "main"}},
        {**GOOD, "train": {"rows_per_step": 0}},
        {**GOOD, "data": {"train": []}},
    ):
        assert schema_problems(schema, wrong) != [], wrong


def schema_problems(schema: dict[str, Any], value: Any) -> list[str]:
    """What the reference validator of JSON Schema finds wrong."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema, which is not installed")
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(value)]


def test_editors_know_the_short_form_of_task_and_every_key_has_a_type() -> None:
    schema = json.loads(recipe_schema())
    short, whole = schema["properties"]["task"]["anyOf"]
    assert short == {"type": "string", "enum": ["chat", "classify", "seq2seq", "tag", "text"]}
    assert whole == {"$ref": "#/$defs/TaskSettings", "description": "What the model is for."}
    assert len(schema["properties"]["base"]["oneOf"]) == 4
    assert schema["additionalProperties"] is False
    assert all(part.get("additionalProperties", False) is False for part in schema["$defs"].values())
    assert recipe_schema() == recipe_schema()


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"method": "qlora"}, "not tested with a base in 4 bits; set method: lora"),
        ({"strategy": "fsdp"}, "set strategy: ddp"),
    ],
)
def test_added_tokens_are_refused_where_they_are_not_tested(other: dict[str, str], why: str) -> None:
    train = {"rows_per_step": 4, "add_tokens": ["<|im_start|>"]}
    assert parse_recipe({**GOOD, "train": train}).train.add_tokens == ("<|im_start|>",)
    said, _ = problem(train={**train, **other})
    assert why in said


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("seq2seq", "chat_template", "plain"),
        ("seq2seq", "thinking", False),
        ("tag", "chat_template", "plain"),
        ("tag", "thinking", True),
        ("tag", "instruction", "Find names."),
    ],
)
def test_a_key_that_a_task_would_pass_over_is_refused(kind: str, key: str, value: str | bool) -> None:
    said, _ = problem(task={"type": kind, key: value})
    assert said == f"task: type: {kind} has no place for {key}; leave it out"
    assert parse_recipe({**GOOD, "task": {"type": "seq2seq", "instruction": "summarize:"}}).task.instruction
