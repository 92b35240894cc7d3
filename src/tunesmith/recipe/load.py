"""Read a recipe file, and say exactly what is wrong with one that cannot be used."""

import json
import re
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tunesmith.errors import RecipeError
from tunesmith.recipe.recipe import Recipe

YAML_BOOL_TAG = "tag:yaml.org,2002:bool"
ERROR_WORDING = {
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping of keys",
    "model_type": "should be a mapping of keys",
    "too_short": "should have at least one entry",
}
"""What pydantic calls tuple, dictionary and model, in the words of a YAML file."""


class RecipeLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the truth values of YAML 1.2: `off`, `on`, `yes` and `no` are words."""


RecipeLoader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in found if tag != YAML_BOOL_TAG]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
RecipeLoader.add_implicit_resolver(YAML_BOOL_TAG, re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def load_recipe(path: Path) -> Recipe:
    """Raises RecipeError with the file, the key and the nearest known key."""
    if not path.is_file():
        raise RecipeError("no such recipe file", where=str(path), hint="`tunesmith init` writes one to start from")
    try:
        text = path.read_text(encoding="utf-8")
        value = RecipeLoader(text).get_single_data()
        twice = _find_repeated_key(yaml.compose(text, Loader=RecipeLoader), set())
    except yaml.YAMLError as error:
        raise _yaml_error(error, path) from error
    except UnicodeDecodeError as error:
        raise RecipeError("not UTF-8 text", where=str(path), hint="save it as UTF-8") from error
    if twice is not None:
        line = twice.start_mark.line + 1
        raise RecipeError(f"the key {twice.value!r} stands twice", where=f"{path}:{line}", hint="keep one of the two")
    if not isinstance(value, dict):
        raise RecipeError("a recipe is a mapping of keys", where=str(path), hint="start with `name: ...`")
    return parse_recipe(value, where=str(path))


def parse_recipe(value: dict[str, Any], *, where: str = "recipe") -> Recipe:
    """A recipe from plain values."""
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        raise _recipe_error(error, where) from error


def recipe_schema() -> str:
    """JSON Schema of the recipe file, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _recipe_error(error: ValidationError, where: str) -> RecipeError:
    problems = error.errors(include_url=False)
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    problem = (unknown or problems)[0]
    place = problem["loc"]
    key = ".".join(str(part) for part in place if not _is_union_tag(part))
    if problem["type"] == "extra_forbidden":
        known = _known_keys(place[:-1])
        near = get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return RecipeError(f"unknown key {key!r}", where=where, hint=hint)
    if problem["type"] == "missing":
        return RecipeError(
            f"the key {key!r} is missing", where=where, hint="`tunesmith init` writes a whole recipe to compare with"
        )
    message = ERROR_WORDING.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    given = problem.get("input")
    shown = "" if isinstance(given, dict) else f", got {given!r}"
    plain = problem["type"] == "string_type" and isinstance(given, bool | int | float | date)
    hint = "put it in quotes" if plain else "`tunesmith show --schema` says what every key takes"
    return RecipeError(f"{key}: {message}{shown}", where=where, hint=hint)


def _is_union_tag(part: int | str) -> bool:
    """Whether part of a location names the form of a value that was tried, such as `(hub)`, and no key of the file."""
    return isinstance(part, str) and part.startswith("(")


def _yaml_error(error: yaml.YAMLError, path: Path) -> RecipeError:
    """What is wrong with the YAML, in one line, and the line it is in (from 1)."""
    hint = "check indentation, colons and quotes around there"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return RecipeError(f"not valid YAML: {' '.join(str(error).split())}", where=str(path), hint=hint)
    where = f"{path}:{error.problem_mark.line + 1}"
    return RecipeError(f"not valid YAML: {error.problem}", where=where, hint=hint)


def _find_repeated_key(node: yaml.Node | None, seen: set[int]) -> yaml.ScalarNode | None:
    """The first key that stands twice in one mapping; YAML readers keep the last one and say nothing."""
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
    return next((found for child in inner if (found := _find_repeated_key(child, seen)) is not None), None)


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    """The known keys of the recipe part at a location such as ('data', 'train', 0) or ('base', '(hub)')."""
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
