"""Read a recipe file, and say exactly what is wrong with one that cannot be used."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tunesmith.errors import RecipeError
from tunesmith.recipe.recipe import Recipe


def load_recipe(path: Path) -> Recipe:
    """Raises RecipeError with the file, the key and the nearest known key."""
    if not path.is_file():
        raise RecipeError("no such recipe file", where=str(path), hint="`tunesmith init` writes one to start from")
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise _bad_yaml(error, path) from error
    except UnicodeDecodeError as error:
        raise RecipeError("not UTF-8 text", where=str(path), hint="save it as UTF-8") from error
    if not isinstance(value, dict):
        raise RecipeError("a recipe is a mapping of keys", where=str(path), hint="start with `name: ...`")
    return parse_recipe(value, where=str(path))


def parse_recipe(value: dict[str, Any], *, where: str = "recipe") -> Recipe:
    """A recipe from plain values."""
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        raise _first_problem(error, where) from error


def recipe_schema() -> str:
    """JSON Schema of the recipe file, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _first_problem(error: ValidationError, where: str) -> RecipeError:
    problems = error.errors(include_url=False)
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    problem = (unknown or problems)[0]
    path = [str(part) for part in problem["loc"] if str(part) not in ("NewBase", "HubBase", "str")]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(path[-1], _keys_at(path[:-1]), n=1)
        known = ", ".join(_keys_at(path[:-1]))
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {known}"
        return RecipeError(f"unknown key {key!r}", where=where, hint=hint)
    if problem["type"] == "missing":
        return RecipeError(
            f"the key {key!r} is missing", where=where, hint="`tunesmith init` writes a whole recipe to compare with"
        )
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem.get("input"), dict) else f", got {problem.get('input')!r}"
    hint = "`tunesmith show --schema` says what every key takes"
    return RecipeError(f"{key}: {message}{given}", where=where, hint=hint)


def _bad_yaml(error: yaml.YAMLError, path: Path) -> RecipeError:
    """What is wrong with the YAML, in one line, and the line it is in (from 1)."""
    hint = "check indentation, colons and quotes around there"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return RecipeError(f"not valid YAML: {' '.join(str(error).split())}", where=str(path), hint=hint)
    where = f"{path}:{error.problem_mark.line + 1}"
    return RecipeError(f"not valid YAML: {error.problem}", where=where, hint=hint)


def _keys_at(path: list[str]) -> list[str]:
    """The known keys of the recipe part at a path such as ['data', 'train', '0']."""
    model: type[BaseModel] = Recipe
    for part in path:
        if part.isdigit():
            continue
        found = model.model_fields.get(part)
        inner = _model_in(found.annotation) if found is not None else None
        if inner is None:
            return []
        model = inner
    return sorted(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first settings class inside an annotation such as `tuple[SourceSettings, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model is not None), None)
