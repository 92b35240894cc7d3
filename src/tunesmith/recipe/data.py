"""The `base:` and `data:` parts of a recipe."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from tunesmith.artifacts import SourceClass
from tunesmith.recipe.base import Settings
from tunesmith.recipe.split import SplitSettings


class SourceSettings(Settings):
    """One data file (or glob), or the files of a Croissant file, and the rights they come with; a row's own override them."""

    path: str = Field(
        default="",
        description="file, glob, folder or URL (s3://, https://, hub://datasets/owner/name@commit); relative to the recipe "
        "or to --data-root",
    )
    croissant: str | None = Field(
        default=None,
        description="croissant.json whose files are read with the rights it states; `path` picks one of them, and what "
        "stands beside it goes first",
    )
    format: str | None = Field(
        default=None, description="one of docs/formats/data.md, e.g. messages; detected when left out"
    )
    columns: dict[str, str] = Field(
        default_factory=dict, description="which column plays which part, e.g. {text: text, label: category}"
    )
    license: str | None = Field(default=None, description="SPDX expression")
    origin: str | None = Field(default=None, description="where the rows come from, in a few words")
    author: str | None = Field(default=None, description="who wrote them")
    basis: str | None = Field(default=None, description="GDPR Art. 6 basis: consent, contract, legal-obligation, ...")
    purpose: str | None = Field(default=None, description="what the rows were collected for (GDPR Art. 5(1)(b))")
    collected: date | None = Field(default=None, description="when the rows were collected, e.g. 2026-03-31")
    expires: date | None = Field(default=None, description="the last day on which the rows may be used")
    source_class: SourceClass | None = Field(
        default=None, description="public, licensed, third-party, crawled, user, synthetic or other"
    )
    generator: str | None = Field(default=None, description="the model that wrote the rows, when they are synthetic")
    language: str | None = Field(default=None, description="BCP 47 tag of the rows' language, e.g. en or pt-BR")
    source: str | None = Field(default=None, description="name of the source; the file name when left out")
    subject: str | None = Field(
        default=None, description="column that identifies the person a row is about; only an HMAC of it is kept"
    )
    skip: int = Field(default=0, ge=0, description="leave out this many rows at the start of each file")
    every: int = Field(default=1, ge=1, description="from there on, read every n-th row")
    limit: int | None = Field(default=None, ge=1, description="read only this many rows")
    network: bool = Field(default=False, description="let this run fetch the files from another machine")

    @model_validator(mode="after")
    def _names_a_file(self) -> "SourceSettings":
        if not self.path and not self.croissant:
            raise ValueError("give `path`, or `croissant`")
        return self


class DataSettings(Settings):
    """Training rows and held-out rows: files of their own, or a part of the training files."""

    train: tuple[SourceSettings, ...] = Field(min_length=1)
    test: tuple[SourceSettings, ...] = ()
    split: SplitSettings | None = Field(default=None, description="hold out a part of the rows of `train`")

    @model_validator(mode="after")
    def _one_way(self) -> "DataSettings":
        if self.test and self.split is not None:
            raise ValueError("give `test` files or `split`, not both")
        return self


class NewTokenizer(Settings):
    """A byte-level BPE to train on the training rows."""

    train: int = Field(ge=300, le=200_000, description="vocabulary size, special tokens included")


class NewBase(Settings):
    """A base to start from nothing: a transformers config file, a tokenizer to train, a seed for the weights."""

    config: str = Field(description="path of a transformers config.json, relative to the recipe")
    tokenizer: NewTokenizer
    seed: int = Field(ge=0)


class HubBase(Settings):
    """A model on the Hub, by exact revision. Needs `network: true`, or the files in the local cache."""

    hub: str
    revision: str = Field(
        pattern=r"^[0-9a-f]{40}$", description="a commit, 40 hex digits; a branch name can change under you"
    )
    network: bool = False


class CatalogueBase(Settings):
    """A base of the catalogue by its name, where more has to be said than that."""

    name: str = Field(description="a name of `tunesmith base list`")
    revision: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{40}$", description="another commit of the Hub than the catalogue pins"
    )
    network: bool = Field(default=False, description="let this run fetch the base when it is not in the local cache")


TaskName = Literal["chat", "classify", "seq2seq", "tag", "text"]


def _base_form(value: object) -> str:
    """Which form of `base:` is meant, so that an error speaks of that form alone."""
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

    type: TaskName
    instruction: str | None = Field(
        default=None, description="system message put before every row; with seq2seq, words put before every source"
    )
    chat_template: str | None = Field(
        default=None,
        min_length=1,
        description="for a base that brings none, or in place of its own: chatml, plain, or a Jinja file relative to the recipe",
    )
    thinking: bool | None = Field(
        default=None,
        description="for a chat template that asks: whether answers begin with thoughts, in training and when served; its own "
        "way when left out",
    )
    labels: Literal["single", "multi", "score"] = Field(
        default="single",
        description="classify: one label a row; with an encoder also any number of labels, or a number to predict",
    )

    subwords: Literal["first", "all"] = Field(
        default="first",
        description="tag: the tag is trained at a word's first token, or at all of them; it is read at the first",
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
