"""The `audit:`, `evaluate:`, `gate:` and `release:` parts of a recipe."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from tunesmith.recipe.base import Settings


def _check_form(value: object) -> str:
    return "(settings)" if isinstance(value, dict) else "(name)"


CheckEntry = Annotated[
    Annotated[str, Tag("(name)")] | Annotated[dict[str, dict[str, Any]], Tag("(settings)")],
    Discriminator(_check_form),
]
"""A check by id, or {id: {setting: value}}."""

CheckList = tuple[CheckEntry, ...]


class AuditSettings(Settings):
    """Action of each check. A check in none of the lists takes its default action; `off` disables one."""

    block: CheckList = Field(default=(), description="Checks whose findings stop the run.")
    drop: CheckList = Field(default=(), description="Checks whose rows are moved to quarantine.")
    redact: CheckList = Field(default=(), description="Checks whose matched spans are replaced.")
    warn: CheckList = Field(default=(), description="Checks whose findings are only reported.")
    off: tuple[str, ...] = Field(default=(), description="Checks that are not run; the report names them.")
    allowed_licenses: tuple[str, ...] = Field(
        default=("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "MIT", "Apache-2.0", "BSD-3-Clause"),
        description="SPDX ids that rows may carry; SPDX expressions are evaluated against this list.",
    )
    exempt: dict[str, str] = Field(
        default_factory=dict,
        description="Kinds of personal data that stay, each with the reason, e.g. {phone: invented numbers}.",
    )
    runner: Literal["local", "ray"] = Field(
        default="local",
        description=(
            "Where the audit runs: local (this process) or ray (the cluster at RAY_ADDRESS, or a local Ray when it is "
            "unset)."
        ),
    )


BaselineName = Literal[
    "majority", "tfidf-words", "tfidf-characters", "frequent-tag", "mean", "tfidf-ridge", "lead", "copy"
]
"""Baselines without a language model. The first three predict labels, `frequent-tag` tags words, `mean` and `tfidf-ridge` predict
numbers, and `lead` and `copy` answer with the first words of the source or all of it."""


class EvaluateSettings(Settings):
    """What is measured on the test rows, and which systems are compared."""

    metrics: tuple[str, ...] = Field(default=(), description="Metric ids; the defaults of the task when unset.")
    fields: tuple[str, ...] = Field(
        default=("fields",), description="Keys of the completion's JSON that field accuracy compares."
    )
    label: str | None = Field(
        default=None,
        description="Key of the completion's JSON that exact match and macro F1 compare; the whole completion when unset.",
    )
    reply: str | None = Field(
        default=None,
        description="Key of the completion's JSON that chrF and ROUGE-L compare; the whole completion when unset.",
    )
    shots: int = Field(
        default=4, ge=0, description="Number of training examples put before the prompt of the untuned base."
    )
    max_new_tokens: int = Field(default=128, ge=1, description="Maximum number of tokens to generate per test row.")
    batch: int = Field(default=64, ge=1, description="Number of test rows per batch.")
    precision: Literal["training", "fp32", "bf16"] = Field(
        default="training",
        description=(
            "Number format that the models compute in; training: the one that they were trained in. A release is "
            "served in the same format."
        ),
    )
    entities: Literal["lenient", "strict"] = Field(
        default="lenient",
        description="How entity metrics read tags: lenient as conlleval does, or strict IOB2 as seqeval does.",
    )
    baselines: tuple[BaselineName, ...] = Field(
        default=get_args(BaselineName),
        description="Baselines to compare with; those that do not fit the task are skipped.",
    )
    level: float = Field(default=0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    resamples: int = Field(
        default=2000, ge=200, description="Number of bootstrap resamples, and of randomisation rounds."
    )


class Requirement(Settings):
    """One requirement of the policy, with exactly one of better_than, no_worse_than, at_least and at_most."""

    metric: str = Field(description="Metric that the requirement is about.")
    better_than: Literal["base"] | BaselineName | None = Field(
        default=None, description="The tuned model must be better than this system, with confidence."
    )
    by: float = Field(default=0.0, ge=0, description="Margin by which it must be better, in the unit of the metric.")
    no_worse_than: Literal["base"] | BaselineName | None = Field(
        default=None, description="The tuned model must not be worse than this system, with confidence."
    )
    margin: float = Field(default=0.0, ge=0, description="Margin by which it may be worse, in the unit of the metric.")
    at_least: float | None = Field(
        default=None, description="Minimum value that the metric must reach, with confidence."
    )
    at_most: float | None = Field(default=None, description="Maximum value that the metric may have, with confidence.")

    @model_validator(mode="after")
    def _one_comparison(self) -> "Requirement":
        comparisons = [self.better_than, self.no_worse_than, self.at_least, self.at_most]
        if sum(value is not None for value in comparisons) != 1:
            raise ValueError("give exactly one of better_than, no_worse_than, at_least and at_most")
        return self


class ReleaseSettings(Settings):
    """How the model is released."""

    key: str = Field(
        default="release.pem",
        description="Private key that signs the release, relative to the recipe; `tunesmith init --key FILE` creates one.",
    )
    folder: str = Field(default="releases", description="Folder for releases, relative to the recipe.")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Number format in which the weights are stored."
    )
    license: str | None = Field(default=None, description="License of the weights, an SPDX expression.")
    intended_use: str = Field(default="", description="What the model is for, for the model card.")
    limits: str = Field(default="", description="Known limitations of the model, for the model card.")
