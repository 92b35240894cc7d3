"""The stages of a run by name, in order."""

from typing import Literal, get_args

StageName = Literal["audit", "train", "evaluate", "gate", "release"]
STAGE_ORDER: tuple[StageName, ...] = get_args(StageName)
