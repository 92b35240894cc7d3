"""Base class of the parts of a recipe."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen part of the recipe. Unknown keys are an error; the loader suggests the nearest known key."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
