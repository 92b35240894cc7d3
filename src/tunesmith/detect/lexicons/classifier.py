"""Toxicity scores of a local text classifier, loaded from a folder with safetensors. Nothing is downloaded."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from tunesmith.errors import RecipeError

WHERE: Final = "audit: toxicity"
WEIGHTS_FILE: Final = "model.safetensors"


class ToxicityClassifier(Protocol):
    """Scores texts for toxicity."""

    def scores(self, texts: Sequence[str]) -> list[float]:
        """The probability of toxicity of each text."""
        ...


def load_local_classifier(folder: str, *, sha256: str | None, labels: Sequence[str]) -> ToxicityClassifier:
    """A transformers text classifier whose score is the highest probability among `labels`, compared without case.

    `sha256` is the digest of the weights, so that other weights in the same folder give another audit. Raises RecipeError for
    a folder without weights, another digest, or labels that the model does not have.
    """
    path = Path(folder)
    if not (path / WEIGHTS_FILE).is_file():
        hint = "give `model` the folder of a model on this machine; nothing is fetched"
        raise RecipeError(f"there is no {WEIGHTS_FILE} in {folder!r}", where=WHERE, hint=hint)
    with (path / WEIGHTS_FILE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != digest:
        what = (
            "the weights are not those of `sha256`" if sha256 else "`model` needs `sha256`, so that it is known which"
        )
        raise RecipeError(what, where=WHERE, hint=f"these weights are sha256: {digest}")
    return _TransformersClassifier(path, labels)


class _TransformersClassifier:
    """Model and tokenizer of a folder, in evaluation mode on the CPU."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        # imported here: an audit without a model must not load transformers
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer = AutoTokenizer.from_pretrained(str(path), **options)
        model = AutoModelForSequenceClassification.from_pretrained(str(path), use_safetensors=True, **options)
        self._model = model.eval()
        names = {number: str(name) for number, name in model.config.id2label.items()}
        requested = {label.casefold() for label in labels}
        self._columns = [number for number, name in sorted(names.items()) if name.casefold() in requested]
        if not self._columns:
            available = ", ".join(names[number] for number in sorted(names))
            raise RecipeError(
                "the model has none of `labels`", where=WHERE, hint=f"set `labels` to some of: {available}"
            )
        self._multi_label = model.config.problem_type == "multi_label_classification" or len(names) == 1

    def scores(self, texts: Sequence[str]) -> list[float]:
        import torch

        if not texts:
            return []
        encoded = self._tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            logits = self._model(**encoded).logits.float()
        probabilities = logits.sigmoid() if self._multi_label else logits.softmax(dim=-1)  # (texts, labels)
        return [float(value) for value in probabilities[:, self._columns].amax(dim=1)]
