"""audit -> train -> evaluate -> gate -> release: the only package that knows the order of the stages."""

from tunesmith.pipeline.preview import preview
from tunesmith.pipeline.runner import open_context, run
from tunesmith.pipeline.stages import RunResult
from tunesmith.recipe.stage_names import STAGE_ORDER, StageName

__all__ = ["STAGE_ORDER", "RunResult", "StageName", "open_context", "preview", "run"]
