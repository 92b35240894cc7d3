"""The profile counts the languages that the language check uses."""

import json

import pytest

from tunesmith import audit
from tunesmith.audit import row_language
from tunesmith.context import Context
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings

TEXTS = [
    *("Where is the blue hat that I ordered from you last week?", "When will the coat come that I paid for on Monday?"),
    *("Wo ist der blaue Hut, den ich letzte Woche bestellt habe?", "ok"),
]


def languages(context: Context, off: tuple[str, ...]) -> dict[str, int]:
    (context.data_root / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    sources = DataSettings(train=(SourceSettings(path="train.jsonl"),))
    left = tuple(name for name in audit.check_ids() if name != "language")
    report = audit.run(sources, AuditSettings(off=(*left, *off)), context, task=TaskSettings(type="text"))
    assert report.findings == ()
    return report.profile.train.languages


def test_prompts_are_counted(context: Context) -> None:
    assert languages(context, ()) == {"en": 2, "de": 1, "und": 1}


def test_no_languages_when_the_check_is_off(context: Context) -> None:
    assert languages(context, ("language",)) == {}


def test_no_languages_without_the_model(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_language, "model_installed", lambda: False)
    assert languages(context, ()) == {}
