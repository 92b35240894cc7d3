"""Open a release folder for serving: verify it, then load its model."""

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
    """The base of an adapter: its name, and the digest of its files."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    tree: str
    made_from: str | None = None

    @property
    def trees(self) -> tuple[str, ...]:
        """Digests of the acceptable bases: as prepared for training, or as published.

        Template and added tokens are files of the adapter.
        """
        return (self.tree,) if self.made_from is None else (self.tree, self.made_from)


class TaskFile(BaseModel):
    """The keys of `tunesmith.json` that the server reads; others are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int
    task: TaskName
    instruction: str | None = None
    labels: tuple[str, ...] | None = None
    base: AdapterBase | None = None
    task_settings: TaskSettings | None = None
    max_new_tokens: int = 128
    evaluated_in: Literal["fp32", "bf16"] = "fp32"
    """Missing in older releases, which were all evaluated in fp32."""

    threads: Annotated[int | None, Field(ge=1)] = None
    """CPU threads of the evaluation; missing in older releases."""

    @property
    def settings(self) -> TaskSettings:
        """The task settings of the recipe; older releases have only the task type and instruction."""
        return self.task_settings or TaskSettings(type=self.task, instruction=self.instruction)


@dataclass(frozen=True)
class DecoderRelease:
    """A loaded decoder. `id` is the model name for clients; `options` are the token ids of the labels of a classifier."""

    id: str
    name: str
    instruction: str | None
    labels: tuple[str, ...]
    options: tuple[tuple[int, ...], ...]
    model: LocalModel
    created: int

    def answers_to(self, model: str) -> bool:
        """Whether a client's model name is this release: `name:version`, or the name without a version."""
        return model in (self.id, self.name)

    def conversation(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The client's messages, after the task's instruction unless the client sent a system message."""
        return with_instruction(messages, self.instruction)


@dataclass(frozen=True)
class EncoderRelease:
    """A loaded encoder, which answers with one forward. `id` is the model name for clients."""

    id: str
    name: str
    task: EncoderTask
    model: EncoderModel
    created: int

    def answers_to(self, model: str) -> bool:
        """Whether a client's model name is this release: `name:version`, or the name without a version."""
        return model in (self.id, self.name)


@dataclass(frozen=True)
class Seq2SeqRelease:
    """A loaded encoder-decoder. `id` is the model name for clients, `max_new_tokens` the limit of the evaluation."""

    id: str
    name: str
    task: Seq2seqTask
    model: Seq2SeqModel
    max_new_tokens: int
    created: int

    def answers_to(self, model: str) -> bool:
        """Whether a client's model name is this release: `name:version`, or the name without a version."""
        return model in (self.id, self.name)


AnyRelease: TypeAlias = DecoderRelease | EncoderRelease | Seq2SeqRelease


def open_release(
    folder: Path,
    public_pem: bytes,
    *,
    context: Context,
    precision: Precision | None = None,
    threads: int | None = None,
) -> AnyRelease:
    """Verify a release folder, then load its model.

    The model runs in the precision of its evaluation, or in `precision`; the published metrics do not apply to another
    precision. It runs with the thread count of its evaluation, so that answers are byte-identical, or with `threads`.

    Raises IntegrityBroken, before any weight is read, if a file differs from what was signed; DataError for an unreadable task
    file; MachineFailure if the base of an adapter is missing.
    """
    verified = verify_release(folder, public_pem)
    task_file = _read_task_file(folder / TASK_FILE)
    _set_threads(task_file, threads, context)
    digest = digest_of((folder / SIGNATURE_FILE).read_bytes())
    base = _base_folder(folder, task_file, context)
    labels = task_file.labels or ()
    dtype = precision or task_file.evaluated_in
    settings = task_file.settings
    if settings.type in ("classify", "tag") and settings.labels != "score" and not labels:
        raise DataError(f"the task is {settings.type}, but there are no labels", where=str(folder / TASK_FILE))
    task = build_task_with_labels(settings, architecture_of(base or folder), labels)
    if isinstance(task, Seq2seqTask):
        return Seq2SeqRelease(
            id=f"{verified.name}:{verified.version}",
            name=verified.name,
            task=task,
            model=open_seq2seq(folder, base=base, digest=digest, dtype=dtype),
            max_new_tokens=task_file.max_new_tokens,
            created=int(context.clock.now().timestamp()),
        )
    if not isinstance(task, DecoderTask):
        return EncoderRelease(
            id=f"{verified.name}:{verified.version}",
            name=verified.name,
            task=task,
            model=open_encoder(folder, task.head, base=base, digest=digest, dtype=dtype),
            created=int(context.clock.now().timestamp()),
        )
    model = open_local(folder, base=base, digest=digest, dtype=dtype)
    return DecoderRelease(
        id=f"{verified.name}:{verified.version}",
        name=verified.name,
        instruction=task_file.instruction,
        labels=labels,
        options=tuple(label_completions(model.tokenizer, labels)),
        model=model,
        created=int(context.clock.now().timestamp()),
    )


def _set_threads(task_file: TaskFile, requested: int | None, context: Context) -> None:
    """Set and report the threads of this process; keep them if neither the caller nor the release gives a count."""
    count = requested or task_file.threads
    if count is None:
        return
    torch.set_num_threads(count)
    if requested is not None and requested != task_file.threads:
        note = "" if task_file.threads is None else f"; evaluated with {task_file.threads}, so the last bits may differ"
        context.progress.say(f"threads: {count}, as requested{note}")
    else:
        context.progress.say(f"threads: {count}, as in the evaluation of the release")


def _read_task_file(path: Path) -> TaskFile:
    if not path.is_file():
        raise DataError("the release has no task file", where=str(path), hint="make the release again")
    try:
        task_file = TaskFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"the task file cannot be read: {error}", where=str(path)) from error
    if task_file.format != TASK_FILE_FORMAT:
        hint = "upgrade, or make the release again"
        raise DataError(
            f"the release has format {task_file.format}; this version reads {TASK_FILE_FORMAT}",
            where=str(path),
            hint=hint,
        )
    return task_file


def _base_folder(folder: Path, task_file: TaskFile, context: Context) -> Path | None:
    """Folder of an adapter's base: in the release (and so signed), in the store, in the package, or in the cache of bases.

    None if the release is a full model. All but the first are looked up by the digest in the release, so no other base can
    replace them.
    """
    if not is_adapter(folder):
        return None
    if (folder / BASE_FOLDER).is_dir():
        return folder / BASE_FOLDER
    where = str(folder / TASK_FILE)
    if task_file.base is None:
        raise DataError("the release is an adapter but does not name its base", where=where)
    if not _stored_tree(task_file.base, context) and is_listed(task_file.base.name):
        ref = resolve_base(task_file.base.name, context)
        if ref.tree not in task_file.base.trees:
            expected = task_file.base.made_from or task_file.base.tree
            what = f"the base {task_file.base.name} in the catalogue of this version differs from the release's base"
            raise IntegrityBroken(
                what,
                where=where,
                hint=f"install the version of Tunesmith that made the release, whose base has the digest {expected}",
            )
    tree = _stored_tree(task_file.base, context)
    if tree is None:
        hint = "give the store that made the release: `--store FOLDER`"
        raise MachineFailure(
            f"the base {task_file.base.name} ({task_file.base.tree[:19]}) is not on this machine",
            where=where,
            hint=hint,
        )
    return context.store.checkout(tree)


def _stored_tree(base: AdapterBase, context: Context) -> str | None:
    """Digest of the base's files if the store has them, else None."""
    return next((tree for tree in base.trees if context.store.objects.has(tree)), None)
