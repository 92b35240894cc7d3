"""Settings that encoders and encoder-decoders do not support."""

from tunesmith.errors import RecipeError
from tunesmith.recipe import TaskSettings, TrainSettings


def check_encoder_settings(settings: TrainSettings) -> None:
    """Raises RecipeError, naming the key, for settings that only packed rows of a decoder have."""
    unsupported = (
        ("method", settings.method == "qlora", "qlora needs a decoder base", "set `train: {method: lora}`"),
        ("neftune", settings.neftune > 0, "NEFTune needs a decoder base", "set `train: {neftune: 0}`"),
        (
            "objective",
            settings.objective != "completion",
            "only the target is trained",
            "set `train: {objective: completion}`",
        ),
        (
            "share_prefixes",
            settings.share_prefixes == "on",
            "rows with bidirectional attention cannot share prefixes",
            "set `train: {share_prefixes: auto}`",
        ),
        ("strategy", settings.strategy == "fsdp", "fsdp needs a decoder base", "set `train: {strategy: ddp}`"),
    )
    for name, is_set, why, hint in unsupported:
        if is_set:
            raise RecipeError(why, where=f"train.{name}", hint=hint)


def check_no_chat_keys(task: TaskSettings) -> None:
    """Raises RecipeError, naming the key, for settings of chats: an encoder reads the text of a row alone."""
    for name in ("instruction", "chat_template", "thinking"):
        if getattr(task, name) is not None:
            hint = f"remove `task.{name}`, or set `base` to a decoder"
            raise RecipeError("an encoder reads only the text of a row", where=f"task.{name}", hint=hint)
