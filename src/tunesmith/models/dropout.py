"""Read and set the dropout rates of a base's config, whatever its family calls them.

A base is trained without dropout unless the recipe sets it: fine-tuning sees most rows only a few times, batches without noise
can share prefixes, and a resumed run reproduces the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from transformers import AutoConfig, PreTrainedConfig

HEAD_RATE_PREFIXES: Final = ("classifier", "seq_classif", "summary")
"""Name prefixes of a classification head's rates."""


def set_dropout(config: Any, rate: float) -> None:
    """Set every dropout rate of a config, and of the configs in it, to `rate`; LayerDrop is always set to 0."""
    for part, name in _dropout_fields(config):
        current, new = getattr(part, name), 0.0 if name.endswith("layerdrop") else rate
        if current is None or current != new:
            setattr(part, name, new)


def configured_dropout(folder: Path, *, classifies: bool) -> dict[str, float]:
    """The rates above 0 in the config of a base, by name; those of a classification head only if `classifies`."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    rates = ((name, getattr(part, name)) for part, name in _dropout_fields(config))
    return {
        name: float(rate) for name, rate in rates if rate and (classifies or not name.startswith(HEAD_RATE_PREFIXES))
    }


def dropout_note(rates: dict[str, float], rate: float) -> str:
    """A note on how a run changes the base's rates, e.g. `the base's own dropout (attn_pdrop 0.1) is off`."""
    named = ", ".join(f"{name} {value:g}" for name, value in rates.items())
    now = f"is {rate:g}, by train.base_dropout" if rate else "is off"
    return f"the base's own dropout ({named}) {now}"


def _dropout_fields(config: Any) -> Iterator[tuple[Any, str]]:
    """(config, field name) of every dropout rate in a config and the configs in it. GPT-2 and its relatives use `attn_pdrop`."""
    for name, value in list(vars(config).items()):
        if isinstance(value, PreTrainedConfig):
            yield from _dropout_fields(value)
        elif _is_dropout_rate(name) and (value is None or isinstance(value, int | float)):
            yield config, name


def _is_dropout_rate(name: str) -> bool:
    return "dropout" in name or name.endswith(("pdrop", "layerdrop"))
