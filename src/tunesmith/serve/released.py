"""A release folder as the server needs it: verified first, then loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunesmith import process
from tunesmith.artifacts import Message, digest_of
from tunesmith.context import Context
from tunesmith.data.chat import with_instruction
from tunesmith.errors import DataError, IntegrityBroken, MachineFailure
from tunesmith.recipe.data import TaskName, TaskSettings

process.prepare()

import torch  # noqa: E402

from tunesmith.models.architecture import architecture_of  # noqa: E402
from tunesmith.models.backends.encoder import EncoderModel, open_encoder  # noqa: E402
from tunesmith.models.backends.labels import label_options  # noqa: E402
from tunesmith.models.backends.local import LocalModel, open_local  # noqa: E402
from tunesmith.models.backends.seq2seq import Seq2SeqModel, open_seq2seq  # noqa: E402
from tunesmith.models.bases.catalogue import is_listed  # noqa: E402
from tunesmith.models.bases.resolve import resolve_base  # noqa: E402
from tunesmith.models.loading import Precision, is_adapter  # noqa: E402
from tunesmith.models.tasks import DecoderTask, EncoderDecoder, EncoderTask, named_task  # noqa: E402
from tunesmith.trust.layout import SIGNATURE  # noqa: E402
from tunesmith.trust.verify import verify_release  # noqa: E402

TASK_FILE = "tunesmith.json"
FORMAT = 1
BASE_FOLDER = "base"


class BaseOfRelease(BaseModel):
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
    base: BaseOfRelease | None = None
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
class Released:
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
class ReleasedEncoder:
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
class ReleasedSeq2Seq:
    """A loaded release that turns a source into a target. `id` is what clients ask for, `max_new_tokens` what was evaluated."""

    id: str
    name: str
    task: EncoderDecoder
    model: Seq2SeqModel
    max_new_tokens: int
    created: int

    def answers_to(self, asked: str) -> bool:
        """`name:version`, or the bare name."""
        return asked in (self.id, self.name)


AnyRelease: TypeAlias = Released | ReleasedEncoder | ReleasedSeq2Seq


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
    card = _task_file(folder / TASK_FILE)
    _take_threads(card, threads, context)
    digest = digest_of((folder / SIGNATURE).read_bytes())
    base = _base_folder(folder, card, context)
    labels = card.labels or ()
    computed_in = precision or card.evaluated_in
    settings = card.settings
    if settings.type in ("classify", "tag") and settings.labels != "score" and not labels:
        raise DataError(f"the task is {settings.type}, and there are no labels", where=str(folder / TASK_FILE))
    task = named_task(settings, architecture_of(base or folder), labels)
    if isinstance(task, EncoderDecoder):
        return ReleasedSeq2Seq(
            id=f"{verified.name}:{verified.version}",
            name=verified.name,
            task=task,
            model=open_seq2seq(folder, base=base, digest=digest, dtype=computed_in),
            max_new_tokens=card.max_new_tokens,
            created=int(context.clock.now().timestamp()),
        )
    if not isinstance(task, DecoderTask):
        return ReleasedEncoder(
            id=f"{verified.name}:{verified.version}",
            name=verified.name,
            task=task,
            model=open_encoder(folder, task.head, base=base, digest=digest, dtype=computed_in),
            created=int(context.clock.now().timestamp()),
        )
    model = open_local(folder, base=base, digest=digest, dtype=computed_in)
    return Released(
        id=f"{verified.name}:{verified.version}",
        name=verified.name,
        instruction=card.instruction,
        labels=labels,
        options=tuple(label_options(model.tokenizer, labels)),
        model=model,
        created=int(context.clock.now().timestamp()),
    )


def _take_threads(card: TaskFile, asked: int | None, context: Context) -> None:
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


def _task_file(path: Path) -> TaskFile:
    if not path.is_file():
        raise DataError("the release has no task file", where=str(path), hint="make the release again")
    try:
        card = TaskFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"the task file cannot be read: {error}", where=str(path)) from error
    if card.format != FORMAT:
        hint = "upgrade, or make the release again"
        raise DataError(
            f"the release has format {card.format}; this version reads {FORMAT}", where=str(path), hint=hint
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
    if not _here(card.base, context) and is_listed(card.base.name):
        found = resolve_base(card.base.name, context)
        if found.tree not in card.base.trees:
            need = card.base.made_from or card.base.tree
            what = f"the {card.base.name} of this version's catalogue is another one"
            raise IntegrityBroken(what, where=where, hint=f"need {need}")
    tree = _here(card.base, context)
    if tree is None:
        hint = "serve from the store that made the release"
        raise MachineFailure(f"the base {card.base.name} ({card.base.tree[:19]}) is not here", where=where, hint=hint)
    return context.store.checkout(tree)


def _here(base: BaseOfRelease, context: Context) -> str | None:
    """The digest under which the store has the base's files, or None."""
    return next((tree for tree in base.trees if context.store.objects.has(tree)), None)
