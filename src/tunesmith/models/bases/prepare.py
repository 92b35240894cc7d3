"""Prepare a base for a recipe: its files with the requested chat template, thinking switch and added tokens."""

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tunesmith.artifacts import ModelRef, canonical_bytes, digest_of
from tunesmith.chat.templates import template_traits
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES, template_names
from tunesmith.context import Context
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.architecture import architecture_of, check_is_language_model
from tunesmith.models.bases.added_tokens import (
    add_tokens,
    check_embedding_rows,
    has_tokens_without_rows,
    text_boundary_tokens,
)
from tunesmith.models.bases.cache import count_all_parameters
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.models.loading import check_config, open_tokenizer
from tunesmith.models.task_support import Architecture
from tunesmith.recipe import BaseSettings, TaskSettings, TrainSettings
from tunesmith.store.versions import code_version, library_versions

TEMPLATE_FILE: Final = "chat_template.jinja"
WEIGHT_SUFFIXES: Final = (".safetensors", ".safetensors.index.json")
GENERATION_CONFIG_FILE: Final = "generation_config.json"
GENERATION_CONFIG_HINT: Final = "fix the file, or delete it: transformers does not require it"
TEMPLATE_KEY: Final = "task.chat_template"
THINKING_SWITCH: Final = re.compile(r"(?<![.\w])(enable_thinking|thinking)\b")
"""Variables that switch thinking: `enable_thinking` (Qwen, SmolLM and most others), `thinking` (DeepSeek, Granite). Attributes,
such as a key of a message, do not match."""
JINJA_TAG: Final = re.compile(r"\{[%{](.*?)[%}]\}", re.DOTALL)
QUOTED_STRING: Final = re.compile(r"'[^']*'|\"[^\"]*\"")

CONVERSATION_TASKS: Final = ("chat", "classify")
"""Tasks whose rows a decoder reads as conversations, which need a chat template."""


def prepare_base(
    base: BaseSettings,
    task: TaskSettings,
    context: Context,
    *,
    train: TrainSettings,
    texts: Sequence[str] | None = None,
) -> ModelRef:
    """Put the base into the store as the recipe uses it. `texts` train the tokenizer of a new base.

    The tree holds the base's own files, changed by three settings: `train.add_tokens` (larger tokenizer and embeddings),
    `task.chat_template` (that template) and `task.thinking` (the template with its switch set). Each is therefore part of every
    content key, and audit, training, evaluation and server read the same files.

    Raises RecipeError if the task needs a chat template and there is none, if the template is missing or does not fit the
    tokenizer, if tokens in use have no row in the embeddings, and the errors of `resolve_base`; DataError if a file of the base
    is not readable.
    """
    raw = resolve_base(base, context, texts=texts)
    check_config(context.store.checkout(raw.tree))
    check_is_language_model(context.store.checkout(raw.tree))
    if train.add_tokens:
        raw = _add_tokens(raw, train, context)
    ref = _apply_template(raw, task, context)
    _check_tokens(context.store.checkout(ref.tree))
    return ref


def _add_tokens(raw: ModelRef, train: TrainSettings, context: Context) -> ModelRef:
    """The base with tokens and embedding rows added, computed once per store and code version."""
    versions = {"code": code_version(), "versions": library_versions()}
    key = {"base": raw.tree, "tokens": list(train.add_tokens), "seed": train.seed, **versions}
    name = f"added-tokens/{digest_of(canonical_bytes(key))}"
    tree = context.store.ledger.ref(name)
    if tree is None or not context.store.objects.has(tree):
        with TemporaryDirectory(dir=context.store.folder) as folder:
            add_tokens(context.store.checkout(raw.tree), train.add_tokens, Path(folder), seed=train.seed)
            added_files = context.store.tree(context.store.put_tree(Path(folder)))
        has_new_weights = any(file.endswith(WEIGHT_SUFFIXES) for file in added_files)
        kept_files = {
            file: digest
            for file, digest in context.store.tree(raw.tree).items()
            if not (has_new_weights and file.endswith(WEIGHT_SUFFIXES))
        }
        tree = context.store.objects.put(canonical_bytes({**kept_files, **added_files}))
        context.store.ledger.set_ref(name, tree)
    return raw.model_copy(
        update={
            "tree": tree,
            "made_from": raw.tree,
            "parameters": count_all_parameters(context.store.checkout(tree)),
            "prepared": (f"{len(train.add_tokens)} tokens added: {', '.join(train.add_tokens)}",),
        }
    )


def _apply_template(raw: ModelRef, task: TaskSettings, context: Context) -> ModelRef:
    files = context.store.tree(raw.tree)
    if task.chat_template is None and task.thinking is None:
        _check_template(raw, task, context)
        return raw
    text = _base_template(files, context) if task.chat_template is None else template_text(task.chat_template, context)
    if task.thinking is not None:
        text = _set_thinking_switch(text, raw, on=task.thinking)
    digest = context.store.objects.put(text.encode())
    files_with_template = {**files, TEMPLATE_FILE: digest}
    tree = context.store.objects.put(canonical_bytes(files_with_template))
    ends = _end_token_ids(context.store.checkout(tree), task.chat_template or "the base's chat template")
    files_with_template[GENERATION_CONFIG_FILE] = context.store.objects.put(
        _generation_config(context, files.get(GENERATION_CONFIG_FILE), ends)
    )
    return raw.model_copy(
        update={
            "tree": context.store.objects.put(canonical_bytes(files_with_template)),
            "made_from": raw.made_from or raw.tree,
            "prepared": (*raw.prepared, *_describe_changes(task, digest)),
        }
    )


def _check_tokens(folder: Path) -> None:
    """Raises RecipeError if tokens in use have no row in the embeddings."""
    if not (folder / "tokenizer.json").is_file() or not has_tokens_without_rows(folder):
        return
    tokenizer = open_tokenizer(folder)
    traits = template_traits(tokenizer)
    names = [token.content for token in tokenizer.added_tokens_decoder.values()]
    check_embedding_rows(
        folder,
        [
            *(name for name in names if name in traits.prompt or name in traits.end_tokens),
            *text_boundary_tokens(tokenizer),
        ],
    )


def template_text(name: str, context: Context) -> str:
    """Jinja source of a vetted template, or of a file relative to the recipe. Raises RecipeError if there is none."""
    if name in VETTED_TEMPLATES:
        return VETTED_TEMPLATES[name].text
    path = context.home / name
    if not path.is_file():
        similar = get_close_matches(name, VETTED_TEMPLATES, n=1)
        suggestion = f"did you mean {similar[0]!r}? " if similar else ""
        hint = f"{suggestion}give {template_names()}, or a file relative to the recipe"
        raise RecipeError(f"no chat template {name!r}", where=TEMPLATE_KEY, hint=hint)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError("the chat template is not UTF-8 text", where=str(path), hint="save it as UTF-8") from error


def _describe_changes(task: TaskSettings, digest: str) -> list[str]:
    """The changes as stated in reports. A template file is identified by its name, without folders, and its digest."""
    name = task.chat_template
    template = (
        []
        if name is None
        else [f"chat template {name}" if name in VETTED_TEMPLATES else f"chat template of {Path(name).name}"]
    )
    thinking = [] if task.thinking is None else [f"chat template with thinking {'on' if task.thinking else 'off'}"]
    return (
        [*template, *thinking]
        if name in VETTED_TEMPLATES and not thinking
        else [*template, *thinking, f"template {digest[:19]}"]
    )


def _base_template(files: dict[str, str], context: Context) -> str:
    """Source of the base's own chat template; empty without one."""
    if TEMPLATE_FILE in files:
        try:
            return context.store.objects.get(files[TEMPLATE_FILE]).decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"the base's {TEMPLATE_FILE} is not UTF-8 text", where="base", hint="save it as UTF-8"
            ) from error
    template = _read_json(files, "tokenizer_config.json", context).get("chat_template")
    return template if isinstance(template, str) else ""


def _set_thinking_switch(text: str, raw: ModelRef, *, on: bool) -> str:
    """The template with its thinking switch set to a constant. Raises RecipeError if it has no switch."""
    names = sorted(
        {name for tag in JINJA_TAG.findall(text) for name in THINKING_SWITCH.findall(QUOTED_STRING.sub("", tag))}
    )
    if not names:
        hint = "remove the key; reasoning in rows is trained as the template writes it"
        raise RecipeError(
            f"the chat template of {raw.name} has no switch for thinking", where="task.thinking", hint=hint
        )
    return "".join(f"{{%- set {name} = {'true' if on else 'false'} -%}}" for name in names) + text


def _check_template(raw: ModelRef, task: TaskSettings, context: Context) -> None:
    """Raises RecipeError if the rows are conversations and the base has no chat template."""
    files = context.store.tree(raw.tree)
    if task.type not in CONVERSATION_TASKS or _has_template(files, context) or _architecture(raw, context) != "decoder":
        return
    raise RecipeError(
        f"the base {raw.name} has no chat template, which task {task.type} needs",
        where="base",
        hint=f"set `task: {{type: {task.type}, chat_template: NAME}}`, where NAME is {template_names()}, "
        "or a file relative to the recipe; "
        "or use the instruct version of the base; `task: text` needs no template",
    )


def _has_template(files: dict[str, str], context: Context) -> bool:
    if TEMPLATE_FILE in files or any(name.startswith("additional_chat_templates/") for name in files):
        return True
    return any(
        _read_json(files, name, context).get("chat_template")
        for name in ("tokenizer_config.json", "chat_template.json")
    )


def _architecture(raw: ModelRef, context: Context) -> Architecture:
    return architecture_of(context.store.checkout(raw.tree))


def _read_json(files: dict[str, str], name: str, context: Context) -> dict[str, Any]:
    """The JSON object in a file of the base; empty if the file is missing or not readable, which its loader will report."""
    if name not in files:
        return {}
    try:
        value = json.loads(context.store.objects.get(files[name]))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _end_token_ids(folder: Path, name: str) -> list[int]:
    """Token ids that end an answer under the template. Raises RecipeError if the tokenizer does not fit the template."""
    tokenizer = open_tokenizer(folder)
    if tokenizer.eos_token_id is None:
        raise RecipeError("the tokenizer has no end-of-sequence token, so answers could not end", where=TEMPLATE_KEY)
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    if missing := [
        token for token in (VETTED_TEMPLATES[name].tokens if name in VETTED_TEMPLATES else ()) if token not in special
    ]:
        listed = ", ".join(f'"{token}"' for token in missing)
        hint = f"use `chat_template: plain`, which needs no tokens; or add them: `train: {{add_tokens: [{listed}]}}`"
        raise RecipeError(
            f"the template {name} needs tokens that the base does not have: {listed}", where=TEMPLATE_KEY, hint=hint
        )
    try:
        return sorted(template_traits(tokenizer).stop_ids)
    except DataError as error:
        raise RecipeError(f"{name}: {error.what}", where=TEMPLATE_KEY, hint=error.hint or "fix the template") from error


def _generation_config(context: Context, digest: str | None, ends: list[int]) -> bytes:
    """The base's generation config, which transformers reads, with `eos_token_id` set to all tokens that end an answer."""
    try:
        value = json.loads(context.store.objects.get(digest)) if digest else {}
    except ValueError as error:
        raise DataError(
            f"the base's {GENERATION_CONFIG_FILE} is not JSON: {error}", where="base", hint=GENERATION_CONFIG_HINT
        ) from error
    if not isinstance(value, dict):
        raise DataError(
            f"the base's {GENERATION_CONFIG_FILE} is not a JSON object", where="base", hint=GENERATION_CONFIG_HINT
        )
    return (json.dumps({**value, "eos_token_id": ends}, indent=2, sort_keys=True) + "\n").encode()
