"""Chat templates by name, for bases without one: small Jinja files of our own, tested with many tokenizers."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

__all__ = ["VETTED_TEMPLATES", "VettedTemplate", "template_names"]


@dataclass(frozen=True)
class VettedTemplate:
    """A chat template. `tokens` must be special tokens of the tokenizer; `summary` says how a turn is written."""

    name: str
    tokens: tuple[str, ...]
    summary: str

    @property
    def text(self) -> str:
        """The Jinja source."""
        return Path(str(files(__name__) / f"{self.name}.jinja")).read_text(encoding="utf-8")


VETTED_TEMPLATES: Final = {
    template.name: template
    for template in (
        VettedTemplate("chatml", ("<|im_start|>", "<|im_end|>"), "<|im_start|>user, the text, <|im_end|>"),
        VettedTemplate("plain", (), "<|user|> in plain text, the text, the end-of-sequence token"),
    )
}


def template_names() -> str:
    """The names, as a hint lists them: `plain or chatml`."""
    return " or ".join(sorted(VETTED_TEMPLATES, reverse=True))
