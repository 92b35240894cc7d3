"""A base as a recipe uses it: its files, with the chat template that the recipe asks for."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from tunesmith import process
from tunesmith.artifacts import ModelRef, canonical_bytes
from tunesmith.context import Context
from tunesmith.data.chat_templates import VETTED, offered
from tunesmith.data.templates import habits
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.recipe import BaseSettings, TaskSettings

process.prepare()

from transformers import AutoTokenizer, PreTrainedTokenizerBase  # noqa: E402
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES  # noqa: E402

TEMPLATE: Final = "chat_template.jinja"
GENERATION: Final = "generation_config.json"
WHERE: Final = "task.chat_template"
CONVERSATIONS: Final = ("chat", "classify")
"""Tasks whose rows a decoder reads as a conversation."""


def prepared_base(
    base: BaseSettings, task: TaskSettings, context: Context, *, texts: Sequence[str] | None = None
) -> ModelRef:
    """The base in the store as the recipe uses it; `texts` train a new base's tokenizer.

    Its tree is that of its own files, and with `task.chat_template` that template's beside them: it is part of every content
    key, and whoever opens the tree, the audit, the training, the evaluation, the server, has the template. Raises RecipeError
    when the task needs a template and there is none, when the template is not there or cannot be used with this tokenizer,
    and whatever `resolve_base` raises.
    """
    raw = resolve_base(base, context, texts=texts)
    if task.chat_template is None:
        _check_template(raw, task, context)
        return raw
    text = template_text(task.chat_template, context)
    files, digest = context.store.tree(raw.tree), context.store.objects.put(text.encode())
    given = {**files, TEMPLATE: digest}
    tree = context.store.objects.put(canonical_bytes(given))
    ends = _ends(context.store.checkout(tree), task.chat_template)
    given[GENERATION] = context.store.objects.put(_generation(context, files.get(GENERATION), ends))
    return raw.model_copy(
        update={
            "tree": context.store.objects.put(canonical_bytes(given)),
            "made_from": raw.made_from or raw.tree,
            "prepared": (*raw.prepared, _told(task.chat_template, digest)),
        }
    )


def template_text(name: str, context: Context) -> str:
    """The Jinja source of a vetted template, or of a file relative to the recipe. Raises RecipeError."""
    if name in VETTED:
        return VETTED[name].text
    path = context.home / name
    if not path.is_file():
        near = get_close_matches(name, VETTED, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        hint = f"{meant}give {offered()}, or a file relative to the recipe"
        raise RecipeError(f"no chat template {name!r}", where=WHERE, hint=hint)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError("the chat template is not UTF-8 text", where=str(path), hint="save it as UTF-8") from error


def _told(name: str, digest: str) -> str:
    """What reports say; a file is named without its folders, and by its digest."""
    return f"chat template {name}" if name in VETTED else f"chat template of {Path(name).name}, {digest[:19]}"


def _check_template(raw: ModelRef, task: TaskSettings, context: Context) -> None:
    """Raises RecipeError when rows are conversations and the base's files have no chat template."""
    files = context.store.tree(raw.tree)
    if task.type not in CONVERSATIONS or _brings_template(files, context) or _is_encoder(files, context):
        return
    raise RecipeError(
        f"the base {raw.name} has no chat template, and the task is {task.type}",
        where="base",
        hint=f"say `task: {{type: {task.type}, chat_template: NAME}}` with {offered()}, or a file relative to the recipe; "
        "or take the base's instruct version; task: text needs none",
    )


def _brings_template(files: dict[str, str], context: Context) -> bool:
    if TEMPLATE in files or any(name.startswith("additional_chat_templates/") for name in files):
        return True
    return any(
        _read(files, name, context).get("chat_template") for name in ("tokenizer_config.json", "chat_template.json")
    )


def _is_encoder(files: dict[str, str], context: Context) -> bool:
    config = _read(files, "config.json", context)
    return config.get("model_type") in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.get("is_decoder")


def _read(files: dict[str, str], name: str, context: Context) -> dict[str, Any]:
    """The JSON object in a file of the base; empty when there is no such file, or none that can be read: its loader says why."""
    if name not in files:
        return {}
    try:
        value = json.loads(context.store.objects.get(files[name]))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _ends(folder: Path, name: str) -> list[int]:
    """The ids that end an answer under the template; raises RecipeError when the tokenizer cannot write by it."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"the base's tokenizer cannot be loaded: {error}", where=str(folder)) from error
    if tokenizer.eos_token_id is None:
        raise RecipeError("the tokenizer has no end-of-sequence token, so no answer could end", where=WHERE)
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    if missing := [token for token in (VETTED[name].tokens if name in VETTED else ()) if token not in special]:
        listed = ", ".join(f'"{token}"' for token in missing)
        hint = f"say `chat_template: plain`, which needs none; or add them: `train: {{add_tokens: [{listed}]}}`"
        raise RecipeError(f"the template {name} needs tokens that the base lacks: {listed}", where=WHERE, hint=hint)
    try:
        return sorted(habits(tokenizer).stops)
    except DataError as error:
        raise RecipeError(f"{name}: {error.what}", where=WHERE, hint=error.hint or "mend the template") from error


def _generation(context: Context, found: str | None, ends: list[int]) -> bytes:
    """The base's generation config, which transformers reads, with every token that ends an answer."""
    value = json.loads(context.store.objects.get(found)) if found else {}
    return (json.dumps({**value, "eos_token_id": ends}, indent=2, sort_keys=True) + "\n").encode()
