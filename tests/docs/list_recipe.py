"""The page docs/reference/recipe.md, generated from the settings classes: `python tests/docs/list_recipe.py`."""

import types
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunesmith.recipe import CatalogueBase, HubBase, NewBase, Recipe

HEAD = """# Recipe

Generated from the settings classes by `python tests/docs/list_recipe.py`. A recipe is one YAML file with these keys; an unknown
key is an error. `tunesmith init` creates a complete recipe, and `tunesmith show --schema` prints the JSON Schema for editors.
"""
BASE_FORMS = {"base (catalogue)": CatalogueBase, "base (Hub)": HubBase, "base (new)": NewBase}
SCALARS = {str: "text", int: "integer", float: "number", bool: "true or false", date: "date", Any: "any value"}
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "at least"}


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_table(Recipe), *_sections(Recipe, "")]) + "\n"


def _sections(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """A section for every part of a recipe, in the order of its keys."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if path == "base":
            yield "\n## base\n\nThe name of a base in the catalogue, a path, or one of these forms:"
            for title, form in BASE_FORMS.items():
                yield from _section(title, form, path)
        elif part := _settings_class(field.annotation):
            title = f"{path}[]" if get_origin(field.annotation) is tuple else path
            if path == "data.test":
                yield f"\n## {title}\n\nThe keys of `data.train[]`."
            else:
                yield from _section(title, part, path)


def _section(title: str, model: type[BaseModel], path: str) -> Iterator[str]:
    yield f"\n## {title}\n\n{' '.join((model.__doc__ or '').split())}\n"
    yield from _table(model)
    yield from _sections(model, f"{path}.")


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | default | description |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", type_text(field), default_text(field), field.description or "")
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def type_text(field: FieldInfo) -> str:
    """The type of a field and its bounds, as a user writes it in YAML."""
    bounds = [
        f"{words} {value:,}"
        for item in field.metadata
        for name, words in BOUNDS.items()
        if (value := getattr(item, name, None)) is not None and not isinstance(value, str)
    ]
    return ", ".join([_annotation_text(field.annotation), *bounds])


def default_text(field: FieldInfo) -> str:
    """The default of a field; `required` without one, empty for a default of None or an empty part."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == () or value == {} or value == "" or isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _annotation_text(annotation: Any) -> str:
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _annotation_text(arguments[0])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(annotation) is tuple:
        return f"list of {_annotation_text(arguments[0])}".replace("list of mapping", "list of mappings")
    if get_origin(annotation) is dict:
        return "mapping"
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_annotation_text(item) for item in arguments if item is not type(None)))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return SCALARS[annotation]


def _settings_class(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside an annotation such as `tuple[SourceSettings, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for item in get_args(annotation) if (model := _settings_class(item))), None)


if __name__ == "__main__":
    print(page(), end="")
