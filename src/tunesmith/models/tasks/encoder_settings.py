"""What a recipe may not ask of an encoder or an encoder-decoder."""

from tunesmith.errors import RecipeError
from tunesmith.recipe import TaskSettings, TrainSettings


def check_encoder_settings(settings: TrainSettings) -> None:
    """Raises RecipeError, naming the key, for what only makes sense where rows are packed for a decoder."""
    refused = (
        ("method", settings.method == "qlora", "a base in 4 bits is for decoders", "set it to lora"),
        ("neftune", settings.neftune > 0, "NEFTune's noise is for decoders", "set it to 0"),
        ("objective", settings.objective != "completion", "only the target is trained", "set it to completion"),
        (
            "share_prefixes",
            settings.share_prefixes == "on",
            "rows that are read both ways share nothing",
            "set it to auto",
        ),
        ("strategy", settings.strategy == "fsdp", "this model is not cut up among ranks", "set it to ddp"),
    )
    for name, asked, why, hint in refused:
        if asked:
            raise RecipeError(why, where=f"train.{name}", hint=hint)


def check_no_chat_keys(task: TaskSettings) -> None:
    """Raises RecipeError, naming the key, for what an encoder's rows have no place for: their text stands alone."""
    for name in ("instruction", "chat_template", "thinking"):
        if getattr(task, name) is not None:
            hint = "leave the key out, or take a decoder"
            raise RecipeError("an encoder reads the text of a row and nothing else", where=f"task.{name}", hint=hint)
