"""A release folder as the server needs it: verified first, then loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunesmith.artifacts import Message, digest_of
from tunesmith.chat.encode import with_instruction
from tunesmith.context import Context
from tunesmith.errors import DataError, IntegrityBroken, MachineFailure
from tunesmith.models.architecture import architecture_of
from tunesmith.models.backends.encoder import EncoderModel, open_encoder
from tunesmith.models.backends.label_scores import label_completions
from tunesmith.models.backends.local import LocalModel, open_local
from tunesmith.models.backends.seq2seq import Seq2SeqModel, open_seq2seq
from tunesmith.models.bases.catalogue import is_listed
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.models.loading import Precision, is_adapter
from tunesmith.models.tasks import DecoderTask, EncoderTask, Seq2seqTask, build_task_with_labels
from tunesmith.recipe.data import TaskName, TaskSettings
from tunesmith.trust.release_layout import SIGNATURE_FILE
from tunesmith.trust.verify import verify_release

TASK_FILE = "tunesmith.json"
TASK_FILE_FORMAT = 1
BASE_FOLDER = "base"


class AdapterBase(BaseModel):
    """What an adapter was tuned from: its name, and the digest of its files."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    tree: str
    made_from: str | None = None

    @property
    def trees(self) -> tuple[str, ...]:
        """What may stand under the adapter, which brings template and tokens: the base as it was prepared, or as it came."""
        return (self.tree,) if self.made_from is None else (self.tree, self.made_from)


class TaskFile(BaseModel):
    """What the server reads of `tunesmith.json`; keys that only other readers need are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    task: TaskName
    instruction: str | None = None
    labels: tuple[str, ...] | None = None
    base: AdapterBase | None = None
    task_settings: TaskSettings | None = None
    max_new_tokens: int = 128
    evaluated_in: Literal["fp32", "bf16"] = "fp32"
    """Older releases do not say it: all of them were evaluated in fp32."""

    threads: Annotated[int | None, Field(ge=1)] = None
    """Those of the evaluation; older releases do not say it."""

    @property
    def settings(self) -> TaskSettings:
        """The task as the recipe had it; older releases name its type alone."""
        return self.task_settings or TaskSettings(type=self.task, instruction=self.instruction)


@dataclass(frozen=True)
class DecoderRelease:
    """A loaded release. `id` is what clients ask for; `options` are the token ids of the labels, for `classify`."""

    id: str
    name: str
    instruction: str | None
    labels: tuple[str, ...]
    options: tuple[tuple[int, ...], ...]
    model: LocalModel
    created: int

    def answers_to(self, asked: str) -> bool:
        """`name:version`, or the bare name."""
        return asked in (self.id, self.name)

    def conversation(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The client's messages, under the task's instruction unless the client brought a system message."""
        return with_instruction(messages, self.instruction)


@dataclass(frozen=True)
class EncoderRelease:
    """A loaded release whose answer is read from one forward. `id` is what clients ask for."""

    id: str
    name: str
    task: EncoderTask
    model: EncoderModel
    created: int

    def answers_to(self, asked: str) -> bool:
        """`name:version`, or the bare name."""
        return asked in (self.id, self.name)


@dataclass(frozen=True)
class Seq2SeqRelease:
    """A loaded release that turns a source into a target. `id` is what clients ask for, `max_new_tokens` what was evaluated."""

    id: str
    name: str
    task: Seq2seqTask
    model: Seq2SeqModel
    max_new_tokens: int
    created: int

    def answers_to(self, asked: str) -> bool:
        """`name:version`, or the bare name."""
        return asked in (self.id, self.name)


AnyRelease: TypeAlias = DecoderRelease | EncoderRelease | Seq2SeqRelease


def open_release(
    folder: Path,
    public_pem: bytes,
    *,
    context: Context,
    precision: Precision | None = None,
    threads: int | None = None,
) -> AnyRelease:
    """Verify, then load. Raises IntegrityBroken before a single weight is read when any byte is not what was signed.

    The model computes in what it was evaluated in, or in `precision`: then the release's figures are not its own. It computes
    with as many threads as it was evaluated with, so that answers have the same bytes, or with `threads`.
    """
    verified = verify_release(folder, public_pem)
    card = _read_task_file(folder / TASK_FILE)
    _set_threads(card, threads, context)
    digest = digest_of((folder / SIGNATURE_FILE).read_bytes())
    base = _base_folder(folder, card, context)
    labels = card.labels or ()
    computed_in = precision or card.evaluated_in
    settings = card.settings
    if settings.type in ("classify", "tag") and settings.labels != "score" and not labels:
        raise DataError(f"the task is {settings.type}, and there are no labels", where=str(folder / TASK_FILE))
    task = build_task_with_labels(settings, architecture_of(base or folder), labels)
    if isinstance(task, Seq2seqTask):
        return Seq2SeqRelease(
            id=f"{verified.name}:{verified.version}",
            name=verified.name,
            task=task,
            model=open_seq2seq(folder, base=base, digest=digest, dtype=computed_in),
            max_new_tokens=card.max_new_tokens,
            created=int(context.clock.now().timestamp()),
        )
    if not isinstance(task, DecoderTask):
        return EncoderRelease(
            id=f"{verified.name}:{verified.version}",
            name=verified.name,
            task=task,
            model=open_encoder(folder, task.head, base=base, digest=digest, dtype=computed_in),
            created=int(context.clock.now().timestamp()),
        )
    model = open_local(folder, base=base, digest=digest, dtype=computed_in)
    return DecoderRelease(
        id=f"{verified.name}:{verified.version}",
        name=verified.name,
        instruction=card.instruction,
        labels=labels,
        options=tuple(label_completions(model.tokenizer, labels)),
        model=model,
        created=int(context.clock.now().timestamp()),
    )


def _set_threads(card: TaskFile, asked: int | None, context: Context) -> None:
    """Set the threads of this process and say how many and why; they are left alone when nobody says a count."""
    count = asked or card.threads
    if count is None:
        return
    torch.set_num_threads(count)
    if asked is not None and asked != card.threads:
        before = "" if card.threads is None else f"; it was evaluated with {card.threads}, and the last bits may differ"
        context.progress.say(f"threads: {count}, as asked{before}")
    else:
        context.progress.say(f"threads: {count}, as the release was evaluated with")


def _read_task_file(path: Path) -> TaskFile:
    if not path.is_file():
        raise DataError("the release has no task file", where=str(path), hint="make the release again")
    try:
        card = TaskFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"the task file cannot be read: {error}", where=str(path)) from error
    if card.format != TASK_FILE_FORMAT:
        hint = "upgrade, or make the release again"
        raise DataError(
            f"the release has format {card.format}; this version reads {TASK_FILE_FORMAT}", where=str(path), hint=hint
        )
    return card


def _base_folder(folder: Path, card: TaskFile, context: Context) -> Path | None:
    """Where the base of an adapter lies: in the release (and so signed), in the store, in the package, or in the cache of bases.

    All but the first are found by the digest the release names, so no other base can take their place.
    """
    if not is_adapter(folder):
        return None
    if (folder / BASE_FOLDER).is_dir():
        return folder / BASE_FOLDER
    where = str(folder / TASK_FILE)
    if card.base is None:
        raise DataError("the release is an adapter and names no base", where=where)
    if not _stored_tree(card.base, context) and is_listed(card.base.name):
        found = resolve_base(card.base.name, context)
        if found.tree not in card.base.trees:
            need = card.base.made_from or card.base.tree
            what = f"the {card.base.name} of this version's catalogue is another one"
            raise IntegrityBroken(what, where=where, hint=f"need {need}")
    tree = _stored_tree(card.base, context)
    if tree is None:
        hint = "serve from the store that made the release"
        raise MachineFailure(f"the base {card.base.name} ({card.base.tree[:19]}) is not here", where=where, hint=hint)
    return context.store.checkout(tree)


def _stored_tree(base: AdapterBase, context: Context) -> str | None:
    """The digest under which the store has the base's files, or None."""
    return next((tree for tree in base.trees if context.store.objects.has(tree)), None)
