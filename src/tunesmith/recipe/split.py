"""The `data.split` part of a recipe: how test rows are held out when no test files are given."""

from datetime import date
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tunesmith.recipe.base import Settings

GroupKey = Literal["near-duplicate", "subject", "author", "source", "origin", "file"]


class SplitSettings(Settings):
    """How the rows of `data.train` are split into training rows and test rows.

    The same rows and settings give the same split on any machine, in any store and for any `train.seed`.
    """

    test: float = Field(default=0.2, gt=0, lt=1, description="Share of the rows to hold out.")
    by: tuple[GroupKey, ...] = Field(
        default=("near-duplicate",),
        description=(
            "Rows that agree in any of these stay on one side: near-duplicate prompts, subject (the person or group "
            "in the column named by `subject:`), author, source, origin or file."
        ),
    )
    stratify: bool = Field(
        default=False, description="Hold out the same share of every label, as far as the groups allow."
    )
    order: Literal["random", "time"] = Field(
        default="random", description="random, or time, which holds out the rows collected last."
    )
    after: date | None = Field(
        default=None, description="Hold out the rows collected on this day or later; needs `order: time`."
    )
    threshold: float = Field(
        default=0.5, gt=0, le=1, description="Share of common word triples at which two prompts are near-duplicates."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the split; another seed holds out other rows.")

    @field_validator("by", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_way(self) -> "SplitSettings":
        if self.after is not None and (self.order != "time" or "test" in self.model_fields_set):
            raise ValueError("`after` needs `order: time` and takes the place of `test`")
        if self.order == "time" and self.stratify:
            raise ValueError("a split by time cannot be stratified: the dates decide which rows are held out")
        return self
