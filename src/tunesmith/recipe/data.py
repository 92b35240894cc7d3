"""The `base:` and `data:` parts of a recipe."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from tunesmith.artifacts import SourceClass
from tunesmith.recipe.base import Settings
from tunesmith.recipe.split import SplitSettings


class SourceSettings(Settings):
    """One data file (or glob), or the files of a Croissant file, with their rights; rights stated in a row take precedence."""

    path: str = Field(
        default="",
        description=(
            "File, glob, folder or URL of the rows (s3://, https://, hub://datasets/OWNER/NAME@COMMIT); relative to "
            "the recipe or to --data-root."
        ),
    )
    croissant: str | None = Field(
        default=None,
        description=(
            "Croissant metadata file (croissant.json) whose files are read with the rights that it states; `path` "
            "then selects one of them, and keys given here take precedence."
        ),
    )
    format: str | None = Field(
        default=None, description="Row format, one of docs/formats/data.md, e.g. messages; detected when unset."
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="Which column holds which part of a row, e.g. {text: body, label: category}."
    )
    license: str | None = Field(default=None, description="License of the rows, an SPDX expression.")
    origin: str | None = Field(default=None, description="Where the rows come from, in a few words.")
    author: str | None = Field(default=None, description="Who wrote the rows.")
    basis: str | None = Field(
        default=None, description="Legal basis under GDPR Art. 6: consent, contract, legal-obligation, ..."
    )
    purpose: str | None = Field(
        default=None, description="Purpose for which the rows were collected, GDPR Art. 5(1)(b)."
    )
    collected: date | None = Field(default=None, description="Date on which the rows were collected, e.g. 2026-03-31.")
    expires: date | None = Field(default=None, description="Last day on which the rows may be used.")
    source_class: SourceClass | None = Field(
        default=None, description="Kind of source: public, licensed, third-party, crawled, user, synthetic or other."
    )
    generator: str | None = Field(default=None, description="Model that generated the rows, when they are synthetic.")
    language: str | None = Field(default=None, description="Language of the rows, a BCP 47 tag, e.g. en or pt-BR.")
    source: str | None = Field(default=None, description="Name of the source; the file name when unset.")
    subject: str | None = Field(
        default=None, description="Column that identifies the person a row is about; only an HMAC of it is stored."
    )
    skip: int = Field(default=0, ge=0, description="Number of rows to skip at the start of each file.")
    every: int = Field(default=1, ge=1, description="Read every n-th row after the skipped ones.")
    limit: int | None = Field(default=None, ge=1, description="Maximum number of rows to read.")
    network: bool = Field(default=False, description="Allow this run to fetch the files from another machine.")

    @model_validator(mode="after")
    def _names_a_file(self) -> "SourceSettings":
        if not self.path and not self.croissant:
            raise ValueError("give `path`, or `croissant`")
        return self


class DataSettings(Settings):
    """Training rows and test rows: separate files, or a split of the training files."""

    train: tuple[SourceSettings, ...] = Field(min_length=1, description="Sources of the training rows.")
    test: tuple[SourceSettings, ...] = Field(default=(), description="Sources of the test rows.")
    split: SplitSettings | None = Field(
        default=None, description="Hold out a share of the rows of `train` as test rows, in place of `test`."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "DataSettings":
        if self.test and self.split is not None:
            raise ValueError("give `test` files or `split`, not both")
        return self


class NewTokenizer(Settings):
    """A byte-level BPE tokenizer, trained on the training rows."""

    train: int = Field(ge=300, le=200_000, description="Vocabulary size, special tokens included.")


class NewBase(Settings):
    """A new base with random weights: a transformers config file, a tokenizer to train, a seed."""

    config: str = Field(description="Path of a transformers config.json, relative to the recipe.")
    tokenizer: NewTokenizer = Field(description="The tokenizer to train.")
    seed: int = Field(ge=0, description="Seed of the random initial weights.")


class HubBase(Settings):
    """A model on the Hub at an exact revision. Needs `network: true`, or the files in the local cache."""

    hub: str = Field(description="Id of the model on the Hub, OWNER/NAME.")
    revision: str = Field(
        pattern=r"^[0-9a-f]{40}$", description="Commit of the model, 40 hex digits; a branch name could change."
    )
    network: bool = Field(
        default=False, description="Allow this run to fetch the base when it is not in the local cache."
    )


class CatalogueBase(Settings):
    """A base of the catalogue with further settings; its name alone is enough otherwise."""

    name: str = Field(description="Name of the base, as `tunesmith base list` prints it.")
    revision: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{40}$",
        description="Commit of the Hub to use in place of the one that the catalogue pins.",
    )
    network: bool = Field(
        default=False, description="Allow this run to fetch the base when it is not in the local cache."
    )


TaskName = Literal["chat", "classify", "seq2seq", "tag", "text"]


def _base_form(value: object) -> str:
    """The form of `base:` that a value has, so that an error mentions only that form."""
    if isinstance(value, CatalogueBase) or (isinstance(value, dict) and "name" in value):
        return "(catalogue)"
    if isinstance(value, HubBase) or (isinstance(value, dict) and value.keys() & HubBase.model_fields.keys()):
        return "(hub)"
    return "(new)" if isinstance(value, NewBase | dict) else "(name)"


BaseSettings = Annotated[
    Annotated[str, Tag("(name)")]
    | Annotated[CatalogueBase, Tag("(catalogue)")]
    | Annotated[NewBase, Tag("(new)")]
    | Annotated[HubBase, Tag("(hub)")],
    Discriminator(_base_form),
]


class TaskSettings(Settings):
    """What the model is for. `classify` limits the output to the labels of the training rows."""

    type: TaskName = Field(description="Kind of task: chat, classify, seq2seq, tag or text.")
    instruction: str | None = Field(
        default=None, description="System message put before every row; for seq2seq, text put before every source."
    )
    chat_template: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "Chat template for a base without one, or in place of its own: chatml, plain, or a Jinja file relative to "
            "the recipe."
        ),
    )
    thinking: bool | None = Field(
        default=None,
        description=(
            "Whether answers begin with reasoning, in training and serving, for a chat template with that option; the "
            "template's default when unset."
        ),
    )
    labels: Literal["single", "multi", "score"] = Field(
        default="single",
        description=(
            "For classify: one label per row; with an encoder also any number of labels (multi), or a number to "
            "predict (score)."
        ),
    )

    subwords: Literal["first", "all"] = Field(
        default="first",
        description="For tag: train the tag at the first token of a word, or at all of them; it is read at the first.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _labels_of_classes(self) -> "TaskSettings":
        if self.labels != "single" and self.type != "classify":
            raise ValueError(f"labels: {self.labels} is for type: classify")
        if self.subwords != "first" and self.type != "tag":
            raise ValueError("subwords is for type: tag")
        turns = {"chat_template": self.chat_template, "thinking": self.thinking}
        unread = {"tag": {**turns, "instruction": self.instruction}, "seq2seq": turns}.get(self.type, {})
        for name, value in unread.items():
            if value is not None:
                raise ValueError(f"type: {self.type} has no place for {name}; leave it out")
        return self
