"""A base as a recipe uses it: its files, with the chat template that the recipe asks for."""

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tunesmith.artifacts import ModelRef, canonical_bytes, digest_of
from tunesmith.context import Context
from tunesmith.data.chat_templates import VETTED, offered
from tunesmith.data.templates import habits
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.architecture import architecture_of, check_known
from tunesmith.models.bases.cache import count_all_parameters
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.models.bases.tokens import add_tokens, beyond_rows, check_rows, ends_of_texts
from tunesmith.models.loading import check_config, open_tokenizer
from tunesmith.models.shapes import Architecture
from tunesmith.recipe import BaseSettings, TaskSettings, TrainSettings
from tunesmith.store.versions import code_version, library_versions

TEMPLATE: Final = "chat_template.jinja"
WEIGHTS: Final = (".safetensors", ".safetensors.index.json")
GENERATION: Final = "generation_config.json"
MEND: Final = "mend the file, or take it out: transformers needs none"
WHERE: Final = "task.chat_template"
SWITCH: Final = re.compile(r"(?<![.\w])(enable_thinking|thinking)\b")
"""What templates call their switch: Qwen, SmolLM and most others; DeepSeek and Granite. No key of a message is meant."""
TAG: Final = re.compile(r"\{[%{](.*?)[%}]\}", re.DOTALL)
QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")

CONVERSATIONS: Final = ("chat", "classify")
"""Tasks whose rows a decoder reads as a conversation."""


def prepared_base(
    base: BaseSettings,
    task: TaskSettings,
    context: Context,
    *,
    train: TrainSettings,
    texts: Sequence[str] | None = None,
) -> ModelRef:
    """The base in the store as the recipe uses it; `texts` train a new base's tokenizer.

    Its tree is that of its own files; with `train.add_tokens` the larger tokenizer and embeddings, with `task.chat_template`
    that template, with `task.thinking` the template with its switch set. So each is part of every content key, and whoever
    opens the tree, the audit, the training, the evaluation, the server, has it. Raises RecipeError when the task needs a
    template and there is none, when the template is not there or cannot be used with this tokenizer, when tokens in use have no
    row in the embeddings, and whatever `resolve_base` raises; DataError when a file of the base cannot be read.
    """
    raw = resolve_base(base, context, texts=texts)
    check_config(context.store.checkout(raw.tree))
    check_known(context.store.checkout(raw.tree))
    if train.add_tokens:
        raw = _with_tokens(raw, train, context)
    ref = _with_template(raw, task, context)
    _check_tokens(context.store.checkout(ref.tree))
    return ref


def _with_tokens(raw: ModelRef, train: TrainSettings, context: Context) -> ModelRef:
    """The base with tokens and rows added, made once per store by the same code."""
    made_by = {"code": code_version(), "versions": library_versions()}
    asked = {"base": raw.tree, "tokens": list(train.add_tokens), "seed": train.seed, **made_by}
    name = f"added-tokens/{digest_of(canonical_bytes(asked))}"
    tree = context.store.ledger.ref(name)
    if tree is None or not context.store.objects.has(tree):
        with TemporaryDirectory(dir=context.store.folder) as folder:
            add_tokens(context.store.checkout(raw.tree), train.add_tokens, Path(folder), seed=train.seed)
            made = context.store.tree(context.store.put_tree(Path(folder)))
        grown = any(file.endswith(WEIGHTS) for file in made)
        kept = {
            file: one for file, one in context.store.tree(raw.tree).items() if not (grown and file.endswith(WEIGHTS))
        }
        tree = context.store.objects.put(canonical_bytes({**kept, **made}))
        context.store.ledger.set_ref(name, tree)
    return raw.model_copy(
        update={
            "tree": tree,
            "made_from": raw.tree,
            "parameters": count_all_parameters(context.store.checkout(tree)),
            "prepared": (f"{len(train.add_tokens)} tokens added: {', '.join(train.add_tokens)}",),
        }
    )


def _with_template(raw: ModelRef, task: TaskSettings, context: Context) -> ModelRef:
    files = context.store.tree(raw.tree)
    if task.chat_template is None and task.thinking is None:
        _check_template(raw, task, context)
        return raw
    text = _own_template(files, context) if task.chat_template is None else template_text(task.chat_template, context)
    if task.thinking is not None:
        text = _switched(text, raw, on=task.thinking)
    digest = context.store.objects.put(text.encode())
    given = {**files, TEMPLATE: digest}
    tree = context.store.objects.put(canonical_bytes(given))
    ends = _ends(context.store.checkout(tree), task.chat_template or "the base's chat template")
    given[GENERATION] = context.store.objects.put(_generation(context, files.get(GENERATION), ends))
    return raw.model_copy(
        update={
            "tree": context.store.objects.put(canonical_bytes(given)),
            "made_from": raw.made_from or raw.tree,
            "prepared": (*raw.prepared, *_told(task, digest)),
        }
    )


def _check_tokens(folder: Path) -> None:
    """Raises RecipeError when the tokenizer has tokens in use that the embeddings have no row for."""
    if not (folder / "tokenizer.json").is_file() or not beyond_rows(folder):
        return
    tokenizer = open_tokenizer(folder)
    said = habits(tokenizer)
    named = [token.content for token in tokenizer.added_tokens_decoder.values()]
    check_rows(
        folder, [*(name for name in named if name in said.question or name in said.ends), *ends_of_texts(tokenizer)]
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


def _told(task: TaskSettings, digest: str) -> list[str]:
    """What reports say; a file is named without its folders, and by its digest."""
    name = task.chat_template
    template = (
        [] if name is None else [f"chat template {name}" if name in VETTED else f"chat template of {Path(name).name}"]
    )
    thinking = [] if task.thinking is None else [f"chat template with thinking {'on' if task.thinking else 'off'}"]
    return (
        [*template, *thinking] if name in VETTED and not thinking else [*template, *thinking, f"template {digest[:19]}"]
    )


def _own_template(files: dict[str, str], context: Context) -> str:
    """The chat template that a base brings; empty without one."""
    if TEMPLATE in files:
        try:
            return context.store.objects.get(files[TEMPLATE]).decode()
        except UnicodeDecodeError as error:
            raise DataError(
                f"the base's {TEMPLATE} is not UTF-8 text", where="base", hint="save it as UTF-8"
            ) from error
    found = _read(files, "tokenizer_config.json", context).get("chat_template")
    return found if isinstance(found, str) else ""


def _switched(text: str, raw: ModelRef, *, on: bool) -> str:
    """The template with its switch for thinking set, whoever renders it. Raises RecipeError when it has none."""
    names = sorted({name for tag in TAG.findall(text) for name in SWITCH.findall(QUOTED.sub("", tag))})
    if not names:
        hint = "leave the key out; thoughts of a row are trained as the template writes them"
        raise RecipeError(
            f"the chat template of {raw.name} does not ask whether to think", where="task.thinking", hint=hint
        )
    return "".join(f"{{%- set {name} = {'true' if on else 'false'} -%}}" for name in names) + text


def _check_template(raw: ModelRef, task: TaskSettings, context: Context) -> None:
    """Raises RecipeError when rows are conversations and the base's files have no chat template."""
    files = context.store.tree(raw.tree)
    if task.type not in CONVERSATIONS or _brings_template(files, context) or _shape(raw, context) != "decoder":
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


def _shape(raw: ModelRef, context: Context) -> Architecture:
    return architecture_of(context.store.checkout(raw.tree))


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
    tokenizer = open_tokenizer(folder)
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
    try:
        value = json.loads(context.store.objects.get(found)) if found else {}
    except ValueError as error:
        raise DataError(f"the base's {GENERATION} is not JSON: {error}", where="base", hint=MEND) from error
    if not isinstance(value, dict):
        raise DataError(f"the base's {GENERATION} is no JSON object", where="base", hint=MEND)
    return (json.dumps({**value, "eos_token_id": ends}, indent=2, sort_keys=True) + "\n").encode()
