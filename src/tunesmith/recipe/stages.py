"""The `audit:`, `train:`, `evaluate:`, `gate:` and `release:` parts of a recipe."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from tunesmith.recipe.base import Settings


def _check_form(value: object) -> str:
    return "(settings)" if isinstance(value, dict) else "(name)"


CheckEntry = Annotated[
    Annotated[str, Tag("(name)")] | Annotated[dict[str, dict[str, Any]], Tag("(settings)")],
    Discriminator(_check_form),
]
"""A check by its id, or {id: {setting: value}}."""

CheckList = tuple[CheckEntry, ...]


class AuditSettings(Settings):
    """Which checks do what. A check named in no list takes its own default action; `off` leaves one out."""

    block: CheckList = Field(default=(), description="a finding stops the run")
    drop: CheckList = Field(default=(), description="the row goes to quarantine")
    redact: CheckList = Field(default=(), description="the matched spans are replaced")
    warn: CheckList = Field(default=(), description="the finding is reported, nothing else")
    off: tuple[str, ...] = Field(default=(), description="checks that are not run; the report names them")
    allowed_licenses: tuple[str, ...] = Field(
        default=("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "MIT", "Apache-2.0", "BSD-3-Clause"),
        description="SPDX ids that rows may carry; expressions are evaluated against this list",
    )
    exempt: dict[str, str] = Field(
        default_factory=dict,
        description="kinds of personal data that stay, each with the reason, e.g. {phone: invented numbers}",
    )
    runner: Literal["local", "ray"] = Field(
        default="local", description="ray: the cluster of RAY_ADDRESS, or a Ray of this machine alone"
    )


BaselineName = Literal[
    "majority", "tfidf-words", "tfidf-characters", "frequent-tag", "mean", "tfidf-ridge", "lead", "copy"
]
"""What needs no model: the first three name labels, `frequent-tag` tags words, the next two give a number, and the last two
answer with the source, its first words or all of it."""


class EvaluateSettings(Settings):
    """What is measured on the held-out rows, and against what."""

    metrics: tuple[str, ...] = Field(default=(), description="metric ids; the task's own when left out")
    fields: tuple[str, ...] = Field(
        default=("fields",), description="keys of the completion's JSON that field accuracy reads"
    )
    label: str | None = Field(
        default=None,
        description="key of the completion's JSON that exact match and macro F1 read; the whole completion when left out",
    )
    reply: str | None = Field(
        default=None, description="key of the completion's JSON that chrF reads; the whole completion when left out"
    )
    shots: int = Field(default=4, ge=0, description="training examples put before the prompt for the base at its best")
    max_new_tokens: int = Field(default=128, ge=1)
    batch: int = Field(default=64, ge=1)
    precision: Literal["training", "fp32", "bf16"] = Field(
        default="training",
        description="what the models compute in; training: as they were trained. A release is served in the same",
    )
    entities: Literal["lenient", "strict"] = Field(
        default="lenient",
        description="entity metrics: conlleval's reading of tags, or IOB2 alone, as seqeval names them",
    )
    baselines: tuple[BaselineName, ...] = Field(
        default=get_args(BaselineName), description="of these, the ones that the task can have are run"
    )
    level: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=200)


class Requirement(Settings):
    """One line of the policy. Exactly one kind of comparison."""

    metric: str
    better_than: Literal["base"] | BaselineName | None = None
    by: float = Field(default=0.0, ge=0)
    no_worse_than: Literal["base"] | BaselineName | None = None
    margin: float = Field(default=0.0, ge=0)
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_comparison(self) -> "Requirement":
        given = [self.better_than, self.no_worse_than, self.at_least, self.at_most]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of better_than, no_worse_than, at_least and at_most")
        return self


class ReleaseSettings(Settings):
    """How the model leaves the house."""

    key: str = Field(
        default="release.pem", description="private key, relative to the recipe; `tunesmith init --key` makes one"
    )
    folder: str = Field(default="releases", description="where releases are put, relative to the recipe")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="how weights are stored")
    license: str | None = Field(default=None, description="SPDX expression for the weights")
    intended_use: str = ""
    limits: str = ""
