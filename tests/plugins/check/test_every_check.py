"""Every check on its own cases: in `fires` exactly the marked rows are found, in `silent` (near misses) none is.

A case is `<name>.jsonl` (training rows) and, if there is one, `<name>.test.jsonl` (held-out rows). A row that must be found
has the key `fires`: true, or {"other": line} or {"kinds": [...]} to say more. `<name>.yaml` may set `task`, `settings` of
the check, `base` and `max_tokens` (what a recipe says of them), `bare: true` (the source states no rights) and `file: true`
(the file as a whole must be found).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith import audit
from tunesmith.artifacts import Finding
from tunesmith.context import Context
from tunesmith.models.reader import open_reader
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings, TrainSettings

HERE = Path(__file__).parent
RIGHTS = {"license": "CC0-1.0", "origin": "written for this case", "basis": "contract"}


def cases(kind: str) -> list[Path]:
    return [
        path
        for name in audit.check_ids()
        for path in sorted((HERE / name / kind).glob("*.jsonl"))
        if not path.name.endswith(".test.jsonl")
    ]


def examined(case: Path, context: Context) -> tuple[list[Finding], dict[str, Any]]:
    """The check alone on a case, and the case's options."""
    name, test = case.parent.parent.name, case.with_suffix(".test.jsonl")
    beside = case.with_suffix(".yaml")
    options = yaml.safe_load(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    rights = {} if options.get("bare") else RIGHTS
    sources = DataSettings(
        train=(SourceSettings(path=str(case), **rights),),
        test=(SourceSettings(path=str(test), **rights),) if test.exists() else (),
    )
    off = tuple(other for other in audit.check_ids() if other != name)
    action = audit.check_class(name).default_action
    settings = AuditSettings(off=off, **{action: ({name: options.get("settings", {})},)})
    context = replace(context, home=case.parent)
    task = TaskSettings.model_validate(options.get("task", "chat"))
    reader = None
    if "base" in options:
        train = TrainSettings(rows_per_step=1, max_tokens=options.get("max_tokens"))
        reader = open_reader(options["base"], task, context, train=train)
    report = audit.run(sources, settings, context, task=task, reader=reader)
    return [finding for finding in report.findings if finding.rule == name], options


def marked(case: Path) -> dict[tuple[str, int], Any]:
    """What each marked row of a case says of itself, by file and line."""
    files = [path for path in (case, case.with_suffix(".test.jsonl")) if path.exists()]
    rows = {
        (path.name, number): json.loads(line)
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    }
    return {place: row["fires"] for place, row in rows.items() if "fires" in row}


@pytest.mark.parametrize("name", audit.check_ids())
def test_every_check_has_cases_of_both_kinds(name: str) -> None:
    for kind in ("fires", "silent"):
        assert any((HERE / name / kind).glob("*.jsonl")), f"tests/plugins/check/{name}/{kind} is missing"


@pytest.mark.parametrize("name", audit.check_ids())
def test_every_check_has_a_manual_page(name: str) -> None:
    module = __import__(audit.check_class(name).__module__, fromlist=["__doc__"])
    page = module.__doc__ or ""
    assert module.__name__.rpartition(".")[2] == name.replace("-", "_")
    for section in ("What it finds: ", "Why it matters: ", "Limits: ", "Reference: "):
        assert f"\n{section}" in page, f"{name}: {section}"


@pytest.mark.parametrize("case", cases("fires"), ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_fires_on_the_marked_rows_and_no_other(case: Path, context: Context) -> None:
    findings, options = examined(case, context)
    found = {(Path(one.place.file).name, one.place.line): one for one in findings}
    expected = marked(case)
    if options.get("file"):
        expected[(case.name, 0)] = True
    assert expected
    assert set(found) == set(expected)
    for place, wish in expected.items():
        if isinstance(wish, dict) and "other" in wish:
            other = found[place].other
            assert other is not None and other.line == wish["other"]
        if isinstance(wish, dict) and "kinds" in wish:
            assert [span.kind for span in found[place].spans] == wish["kinds"]


@pytest.mark.parametrize("case", cases("silent"), ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_stays_silent_on_near_misses(case: Path, context: Context) -> None:
    findings, _ = examined(case, context)
    assert [(finding.place.line, finding.reason) for finding in findings] == []
