"""The dropout rates of a base's config, under the names that its family has for them.

A base is trained without its dropout unless the recipe asks: most sets for tuning are seen a few times at most, passes that
draw nothing can share prefixes, and a stopped run goes on to the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from transformers import AutoConfig, PreTrainedConfig

HEAD_RATE_PREFIXES: Final = ("classifier", "seq_classif", "summary")
"""What the names of a classification head's rates begin with."""


def set_dropout(config: Any, rate: float) -> None:
    """Put one rate in the place of all dropout rates of a config and of those in it; layers are never dropped whole."""
    for part, name in _dropout_fields(config):
        before, wanted = getattr(part, name), 0.0 if name.endswith("layerdrop") else rate
        if before is None or before != wanted:
            setattr(part, name, wanted)


def configured_dropout(folder: Path, *, classifies: bool) -> dict[str, float]:
    """The rates above 0 that the config of a base states, by their names; of a classification head only if it gets one."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    rates = ((name, getattr(part, name)) for part, name in _dropout_fields(config))
    return {
        name: float(rate) for name, rate in rates if rate and (classifies or not name.startswith(HEAD_RATE_PREFIXES))
    }


def dropout_note(rates: dict[str, float], rate: float) -> str:
    """What is said of a base's own rates, e.g. `the base's own dropout (attn_pdrop 0.1) is off`."""
    named = ", ".join(f"{name} {value:g}" for name, value in rates.items())
    now = f"is {rate:g}, by train.base_dropout" if rate else "is off"
    return f"the base's own dropout ({named}) {now}"


def _dropout_fields(config: Any) -> Iterator[tuple[Any, str]]:
    """(config, name of a rate) of a config and of the configs in it. GPT-2 and its relatives write `attn_pdrop`."""
    for name, value in list(vars(config).items()):
        if isinstance(value, PreTrainedConfig):
            yield from _dropout_fields(value)
        elif _is_dropout_rate(name) and (value is None or isinstance(value, int | float)):
            yield config, name


def _is_dropout_rate(name: str) -> bool:
    return "dropout" in name or name.endswith(("pdrop", "layerdrop"))
