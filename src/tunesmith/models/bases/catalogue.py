"""The catalogue of bases, read from bases.yaml in this package. Imports no model library."""

from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, NamedTuple

import yaml
from pydantic import AfterValidator, Field, model_validator

from tunesmith.artifacts import digest_of
from tunesmith.artifacts.base import canonical_bytes
from tunesmith.errors import Misuse, RecipeError
from tunesmith.recipe.base import Settings

EMBEDDED_BASE: Final = "tunesmith/pebble"

BaseUse = Literal["chat", "text", "encoder", "seq2seq"]
"""Use of a base: chat and classification with a chat template, plain text, labels and tags, text to text."""


def _check_relative_path(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in path:
        raise ValueError(f"{path!r} does not stay inside its folder")
    return path


RelativePath = Annotated[str, AfterValidator(_check_relative_path)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
CommitHash = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class WheelSource(Settings):
    """A wheel on a package index. Only `members` are extracted: {path in the wheel: path in the base}."""

    kind: Literal["wheel"]
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.]*$")
    sha256: Sha256
    bytes: int = Field(ge=1)
    members: dict[RelativePath, RelativePath] = Field(min_length=1)

    def describe(self) -> str:
        return f"wheel {self.package}=={self.version}"


class HubSource(Settings):
    """A model on the Hub at a commit. Without a commit, the caller must give one."""

    kind: Literal["hub"]
    repo: str = Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    revision: CommitHash | None

    def describe(self) -> str:
        return f"Hub {self.repo} at {self.revision or 'no revision'}"


class EmbeddedSource(Settings):
    """A base that is part of this package."""

    kind: Literal["embedded"]

    def describe(self) -> str:
        return "this package"


Source = Annotated[WheelSource | HubSource | EmbeddedSource, Field(discriminator="kind")]


class BaseEntry(Settings):
    """One base. `digests` are SHA-256 of files, as downloaded (a GGUF) or as cached; every listed file is checked.

    `license` is an SPDX expression, `LicenseRef-...` for licences that are not open; `license_source` says who states it.
    `hub` is the model's Hub id if no source is a Hub repository.
    `template` is the chat template of its tokenizer: its own, none, or the name of a vetted one.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._/-]*$")
    family: str
    parameters: int = Field(ge=1)
    context: int | None = Field(default=None, ge=1)
    license: str
    license_source: str
    sources: tuple[Source, ...] = Field(min_length=1)
    digests: dict[RelativePath, Sha256] = Field(default_factory=dict)
    hub: str | None = None
    template: str
    fits: tuple[BaseUse, ...] = Field(min_length=1)
    notes: str = ""

    @model_validator(mode="after")
    def _gguf_is_pinned(self) -> "BaseEntry":
        targets = [
            path for source in self.sources if isinstance(source, WheelSource) for path in source.members.values()
        ]
        unpinned = [path for path in targets if path.endswith((".gguf", ".safetensors")) and path not in self.digests]
        if unpinned:
            raise ValueError(f"{self.name}: no digest for {unpinned[0]}")
        return self


class PinnedSource(NamedTuple):
    """An entry and one of its sources; `key` identifies the bytes that this source gives."""

    entry: BaseEntry
    source: Source

    def key(self, converter: str) -> str:
        value = {"source": self.source.model_dump(mode="json"), "digests": self.entry.digests, "converter": converter}
        return digest_of(canonical_bytes(value)).removeprefix("sha256:")


@cache
def entries() -> tuple[BaseEntry, ...]:
    """All bases, in the order of bases.yaml. Raises ValueError (pydantic) if the file is invalid."""
    raw = yaml.safe_load((files("tunesmith.models.bases") / "bases.yaml").read_text(encoding="utf-8"))
    return tuple(BaseEntry.model_validate(value) for value in raw)


def find_entry(name: str) -> BaseEntry:
    """The entry of a base. Raises Misuse, with similar names, for an unknown one."""
    entry = {entry.name: entry for entry in entries()}.get(name)
    if entry is None:
        raise Misuse(f"no base is called {name!r}", hint=suggest_names(name))
    return entry


def is_listed(name: str) -> bool:
    return any(entry.name == name for entry in entries())


def hub_id(entry: BaseEntry) -> str | None:
    """The model's Hub id, if it has one."""
    return entry.hub or next((source.repo for source in entry.sources if isinstance(source, HubSource)), None)


def is_embedded(name: str) -> bool:
    return isinstance(find_entry(name).sources[0], EmbeddedSource)


def is_pinned(entry: BaseEntry, revision: str | None = None) -> bool:
    """Whether the entry has a source with fixed bytes: a wheel, or a commit on the Hub."""
    return revision is not None or any(
        not isinstance(source, HubSource) or source.revision is not None for source in entry.sources
    )


def suggest_names(name: str) -> str:
    """A hint for an unknown name: similar names, or how to list them."""
    names = [entry.name for entry in entries()]
    similar = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    if not similar:
        return "`tunesmith base list` shows the names"
    return f"did you mean {' or '.join(repr(other) for other in similar)}?"


def pinned_sources(entry: BaseEntry, revision: str | None = None) -> tuple[PinnedSource, ...]:
    """The sources of an entry with fixed bytes, in the order in which they are tried. `revision` selects the Hub sources and sets
    their commit; Hub sources without a commit are skipped.

    Raises RecipeError if no source remains.
    """
    sources: list[Source] = []
    for source in entry.sources:
        if not isinstance(source, HubSource):
            sources += [] if revision is not None else [source]
        elif revision is not None or source.revision is not None:
            sources.append(source.model_copy(update={"revision": revision or source.revision}))
    if sources:
        return tuple(PinnedSource(entry, source) for source in sources)
    if revision is not None:
        raise RecipeError(f"{entry.name} is not on the Hub, so it has no revision", hint="remove the revision")
    raise RecipeError(
        f"the catalogue has no pinned revision of {entry.name}",
        hint=f"choose a commit of {entry.sources[0].describe().split()[1]}: "
        f"`tunesmith base get {entry.name} --network --revision <40 hex digits>`",
    )


def fetch_command(entry: BaseEntry, revision: str | None = None) -> str:
    """The command that downloads a base into the cache; stored in the documents of a release."""
    on_hub = revision is not None or all(isinstance(source, HubSource) for source in entry.sources)
    return (
        f"tunesmith base get {entry.name}"
        + (" --network" if on_hub else "")
        + (f" --revision {revision}" if revision else "")
    )
