"""The page docs/reference/api.md, drawn from the public names: `python tests/docs/list_api.py`."""

import inspect
import re
from dataclasses import is_dataclass
from typing import Any

import tunesmith

HEAD = """# Python names

Generated from the code by `python tests/docs/list_api.py`. Everything else in the package may change without notice.
[From Python](../guides/python.md) shows how they go together.
"""
GROUPS = {
    "Run": ("load_recipe", "parse_recipe", "limited", "open_context", "run", "RunResult"),
    "Recipe and context": ("Recipe", "Limits", "Context"),
    "Data types": ("Example", "Finding", "Estimate", "Insufficient", "Verdict"),
    "Verify": ("verify", "load_public_pem"),
    "Errors": (
        "TunesmithError",
        "Misuse",
        "RecipeError",
        "DataError",
        "Refused",
        "IntegrityBroken",
        "MachineFailure",
        "StoreLocked",
        "Interrupted",
    ),
}


def page() -> str:
    """The whole page. Raises ValueError when a public name stands in no group or in two."""
    listed = [name for names in GROUPS.values() for name in names]
    if sorted(listed) != sorted(tunesmith.__all__):
        raise ValueError(f"GROUPS and tunesmith.__all__ differ: {set(listed) ^ set(tunesmith.__all__)}")
    parts = [HEAD]
    for title, names in GROUPS.items():
        parts += [f"## {title}\n", *(entry(name) for name in names)]
    return "\n".join(parts).rstrip("\n") + "\n"


def entry(name: str) -> str:
    """One name: how it is written, and its docstring."""
    value = getattr(tunesmith, name)
    text = inspect.cleandoc(value.__doc__ or "")
    return f"### {name}\n\n{usage(name, value)}{escape_html(text)}\n"


def usage(name: str, value: Any) -> str:
    """The signature of a function, the fields of a class; nothing for an error."""
    if isinstance(value, type) and issubclass(value, Exception):
        return f"Exit code {value.exit_code}, HTTP status {value.http_status}.\n\n"
    if isinstance(value, type):
        return fields_table(value)
    signature = re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", str(inspect.signature(value)))
    signature = re.sub(r"(?:[a-z_]+\.)+(?=[A-Z])|pathlib\.", "", signature)
    return f"```\n{name}{signature}\n```\n\n"


def fields_table(kind: Any) -> str:
    """Field names of a dataclass or a pydantic model, in order."""
    names = list(kind.__dataclass_fields__) if is_dataclass(kind) else list(kind.model_fields)
    return f"Fields: {', '.join(f'`{name}`' for name in names)}.\n\n" if names else ""


def escape_html(text: str) -> str:
    return text.replace("<", "&lt;")


if __name__ == "__main__":
    print(page(), end="")
