"""Load a recipe file, with precise errors for one that cannot be used."""

import json
import re
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tunesmith.errors import RecipeError
from tunesmith.recipe.recipe import Recipe

YAML_BOOL_TAG = "tag:yaml.org,2002:bool"
ERROR_WORDING = {
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping of keys",
    "model_type": "should be a mapping of keys",
    "too_short": "should have at least one entry",
}
"""Wording of pydantic errors about tuples, dictionaries and models, in terms of YAML."""


class RecipeLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the booleans of YAML 1.2: `off`, `on`, `yes` and `no` are strings."""


RecipeLoader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != YAML_BOOL_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
RecipeLoader.add_implicit_resolver(YAML_BOOL_TAG, re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def load_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file. Raises RecipeError with the file, the key and a hint, such as the nearest known key."""
    if not path.is_file():
        raise RecipeError("no such recipe file", where=str(path), hint="run `tunesmith init` to create one")
    try:
        text = path.read_text(encoding="utf-8")
        value = RecipeLoader(text).get_single_data()
        root = yaml.compose(text, Loader=RecipeLoader)
        repeated = _find_repeated_key(root, set())
    except yaml.YAMLError as error:
        raise _yaml_error(error, path) from error
    except UnicodeDecodeError as error:
        raise RecipeError("not UTF-8 text", where=str(path), hint="save it as UTF-8") from error
    if repeated is not None:
        line = repeated.start_mark.line + 1
        raise RecipeError(
            f"the key {repeated.value!r} occurs twice", where=f"{path}:{line}", hint="remove one of the two"
        )
    if not isinstance(value, dict):
        raise RecipeError("a recipe is a mapping of keys", where=str(path), hint="start with `name: ...`")
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        problem = _first_problem(error)
        line = _line_of(root, _keys_of(problem["loc"]))
        raise _recipe_error(error, problem, f"{path}:{line}") from error


def parse_recipe(value: dict[str, Any], *, where: str = "recipe") -> Recipe:
    """A recipe from plain Python values. Raises RecipeError with the key that is wrong."""
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        raise _recipe_error(error, _first_problem(error), where) from error


def recipe_schema() -> str:
    """JSON Schema of the recipe file, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _first_problem(error: ValidationError) -> ErrorDetails:
    """The problem to report: an unknown key if there is one, since other problems may follow from it."""
    problems = error.errors(include_url=False)
    return next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])


def _recipe_error(error: ValidationError, problem: ErrorDetails, where: str) -> RecipeError:
    place = problem["loc"]
    key = ".".join(str(part) for part in _keys_of(place))
    if problem["type"] == "extra_forbidden":
        keys = _known_keys(place[:-1])
        near = get_close_matches(str(place[-1]), keys, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(keys)}"
        return RecipeError(f"unknown key {key!r}", where=where, hint=hint)
    if problem["type"] == "missing":
        return RecipeError(
            f"the key {key!r} is missing", where=where, hint="run `tunesmith init` to create a complete recipe"
        )
    if problem["type"] == "literal_error":
        return _choice_error(error, problem, where)
    message = ERROR_WORDING.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    value = problem.get("input")
    got = "" if isinstance(value, dict) else f", got {value!r}"
    is_unquoted = problem["type"] == "string_type" and isinstance(value, bool | int | float | date)
    hint = "put it in quotes" if is_unquoted else "run `tunesmith show --schema` to see what every key takes"
    return RecipeError(f"{key}: {message}{got}", where=where, hint=hint)


def _choice_error(error: ValidationError, problem: ErrorDetails, where: str) -> RecipeError:
    """The error of a value that is none of the choices of its key. pydantic reports a union once for each member."""
    keys = _keys_of(problem["loc"])
    choices = [
        choice
        for other in error.errors(include_url=False)
        if other["type"] == "literal_error" and _keys_of(other["loc"]) == keys
        for choice in re.findall(r"'([^']*)'", other["ctx"]["expected"])
    ]
    value = problem["input"]
    longer = [choice for choice in choices if choice.startswith(str(value))]
    near = longer or get_close_matches(str(value), choices, n=2)
    listed = f"choose from: {', '.join(choices)}"
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else listed
    return RecipeError(f"{'.'.join(map(str, keys))}: {value!r} is not a valid value", where=where, hint=hint)


def _keys_of(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """An error location without the names of union members: the keys and list positions of the file."""
    return tuple(part for part in place if not _is_union_tag(part))


def _is_union_tag(part: int | str) -> bool:
    """Whether part of an error location names a union member, such as `(hub)` or `literal['base']`, and not a key."""
    return isinstance(part, str) and part.startswith(("(", "literal["))


def _line_of(node: yaml.Node | None, keys: tuple[int | str, ...]) -> int:
    """The line (from 1) of the deepest key or list entry of a location that the file has."""
    line = 1
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        pair = next((pair for pair in pairs if pair[0].value == str(key)), None)
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def _yaml_error(error: yaml.YAMLError, path: Path) -> RecipeError:
    """The YAML error on one line, with its line number (from 1)."""
    hint = "check indentation, colons and quotes near this line"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return RecipeError(f"not valid YAML: {' '.join(str(error).split())}", where=str(path), hint=hint)
    where = f"{path}:{error.problem_mark.line + 1}"
    return RecipeError(f"not valid YAML: {error.problem}", where=where, hint=hint)


def _find_repeated_key(node: yaml.Node | None, seen: set[int]) -> yaml.ScalarNode | None:
    """The first key that occurs twice in one mapping, of which YAML loaders silently keep the last."""
    if node is None or id(node) in seen or isinstance(node, yaml.ScalarNode):
        return None
    seen.add(id(node))
    inner = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else node.value
    keys = (
        [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)] if isinstance(node, yaml.MappingNode) else []
    )
    names: set[str] = set()
    for key in keys:
        if key.value in names:
            return key
        names.add(key.value)
    return next((inner_key for child in inner if (inner_key := _find_repeated_key(child, seen)) is not None), None)


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the recipe part at a location such as ('data', 'train', 0) or ('base', '(hub)')."""
    annotation: Any = Recipe
    for part in place:
        if isinstance(part, int):
            continue
        if _is_union_tag(part):
            annotation = next(form for form in annotation.__args__ if form.__metadata__[0].tag == part)
            continue
        model = _settings_class(annotation)
        if model is None or part not in model.model_fields:
            return []
        annotation = model.model_fields[part].annotation
    model = _settings_class(annotation)
    return sorted(model.model_fields) if model is not None else []


def _settings_class(annotation: Any) -> type[BaseModel] | None:
    """The first settings class inside an annotation such as `tuple[SourceSettings, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_settings_class(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
