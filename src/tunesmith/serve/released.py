"""A release folder as the server needs it: verified first, then loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tunesmith import process
from tunesmith.artifacts import Message, digest_of
from tunesmith.context import Context
from tunesmith.data.chat import with_instruction
from tunesmith.errors import DataError, IntegrityBroken
from tunesmith.recipe import BaseSettings, TaskSettings

process.prepare()

from tunesmith.models.backends.labels import label_options  # noqa: E402
from tunesmith.models.backends.local import LocalModel, open_local  # noqa: E402
from tunesmith.models.bases import resolve_base  # noqa: E402
from tunesmith.models.loading import is_adapter  # noqa: E402
from tunesmith.trust.layout import SIGNATURE  # noqa: E402
from tunesmith.trust.verify import verify_release  # noqa: E402

TASK_FILE = "tunesmith.json"


class BaseOfRelease(BaseModel):
    """What an adapter was tuned from: `settings` as the recipe wrote it, `tree` the digest of its files."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    settings: Any
    tree: str | None = None


class TaskFile(BaseModel):
    """`tunesmith.json` of a release. Keys that only other readers need are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: TaskSettings
    labels: tuple[str, ...] = ()
    base: BaseOfRelease | str | None = None


@dataclass(frozen=True)
class Released:
    """A loaded release. `id` is what clients ask for; `options` are the token ids of the labels, for `classify`."""

    id: str
    name: str
    task: TaskSettings
    labels: tuple[str, ...]
    options: tuple[tuple[int, ...], ...]
    model: LocalModel
    created: int

    def answers_to(self, asked: str) -> bool:
        """`name:version`, or the bare name."""
        return asked in (self.id, self.name)

    def conversation(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The client's messages, under the task's instruction unless the client brought a system message."""
        if any(turn.role == "system" for turn in messages):
            return messages
        return with_instruction(messages, self.task.instruction)


def open_release(folder: Path, public_pem: bytes, *, context: Context) -> Released:
    """Verify, then load. Raises IntegrityBroken before a single weight is read when any byte is not what was signed."""
    verified = verify_release(folder, public_pem)
    card = _task_file(folder / TASK_FILE)
    digest = digest_of((folder / SIGNATURE).read_bytes())
    model = open_local(folder, base=_base_folder(folder, card, context), digest=digest)
    classify = card.task.type == "classify"
    if classify and not card.labels:
        raise DataError("the task is classify, and there are no labels", where=str(folder / TASK_FILE))
    return Released(
        id=f"{verified.name}:{verified.version}",
        name=verified.name,
        task=card.task,
        labels=card.labels,
        options=tuple(label_options(model.tokenizer, card.labels)) if classify else (),
        model=model,
        created=int(context.clock.now().timestamp()),
    )


def _task_file(path: Path) -> TaskFile:
    if not path.is_file():
        raise DataError("the release has no task file", where=str(path), hint="make the release again")
    try:
        return TaskFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"the task file cannot be read: {error}", where=str(path)) from error


def _base_folder(folder: Path, card: TaskFile, context: Context) -> Path | None:
    """Where the base of an adapter lies, its files compared with the digest the release names."""
    if not is_adapter(folder):
        return None
    if card.base is None:
        raise DataError("the release is an adapter and names no base", where=str(folder / TASK_FILE))
    base = BaseOfRelease(settings=card.base) if isinstance(card.base, str) else card.base
    settings = TypeAdapter[BaseSettings](BaseSettings).validate_python(base.settings)
    found = resolve_base(settings, context)
    if base.tree is not None and found.tree != base.tree:
        raise IntegrityBroken(
            f"the base {found.name} is not the one the adapter was tuned from",
            where=str(folder / TASK_FILE),
            hint=f"expected {base.tree}, found {found.tree}",
        )
    return context.store.checkout(found.tree)
