"""The page is self-contained, reports every outcome and escapes all text."""

from html.parser import HTMLParser
from typing import Any

import pytest

from tunesmith.artifacts import Insufficient, SystemScores
from tunesmith.artifacts.report import WatchFinding
from tunesmith.release.page import render_page
from tunesmith.release.page.summary import findings_by_rule, held_out_samples, page_headline, summary_tiles
from tunesmith.release.page.training_facts import machine_speed, prefix_saving, watcher_notices
from tunesmith.release.result_lines import results_by_metric

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Reader(HTMLParser):
    """Collects attributes and text, and checks that tags are properly nested."""

    def __init__(self) -> None:
        HTMLParser.__init__(self)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def page_of(run: Any, **changes: Any) -> str:
    parts = {"train": run.train, "evaluation": run.evaluation, "gate": run.gate} | changes
    return render_page(run.recipe, changes.get("audit", run.audit), **{k: v for k, v in parts.items() if k != "audit"})


def test_nothing_is_fetched_and_nothing_runs(reports: Any) -> None:
    page = page_of(reports)
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(reader.tags)
    assert not {"src", "href", "srcset", "action", "data", "style"} & {name for name, _ in reader.attributes}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "url(" not in page and "@import" not in page and "http:" not in page and "https:" not in page


def test_the_same_reports_give_the_same_page(reports: Any, make: Any) -> None:
    assert page_of(reports) == page_of(make.all_reports())


def test_the_story_is_told(reports: Any) -> None:
    text = " ".join(" ".join(read(page_of(reports)).text).split())
    for part in (
        "The tuned model passed every requirement",
        "reaches 86.0% by exact match",
        "tickets.jsonl:100",
        "tickets.jsonl:80 93% alike",
        "14 found, 3 shown",
        "shares 41 of 44 runs of five words with a row before it",
        "a LoRA adapter was trained beside the base (342,112 numbers were learned)",
        "+61.7 points +55.7 to +67.7 <0.001 300 4.1 points 192, 7, 101 better",
        "3 of 300 test rows cannot be scored",
        "exact-match better than base by 0.1",
        "tunesmith verify FOLDER --key",
        "invented for this example",
        reports.train.model.tree,
        reports.evaluation.digest(),
    ):
        assert part in text, part


def test_training_texts_stay_at_home(reports: Any) -> None:
    assert "MUST NOT LEAVE" not in page_of(reports)


def test_text_never_becomes_markup(reports: Any, make: Any) -> None:
    bad = '</pre></section><script>alert(1)</script><img src="https://example.test/x">'
    evaluation = make.evaluation_report(
        samples=({"place": bad, "prompt": bad, "expected": bad, "tuned": bad, "base-prompted": bad},)
    )
    source = reports.audit.sources[0].model_copy(update={"path": bad, "origin": bad})
    findings = (reports.audit.findings[0].model_copy(update={"reason": bad, "rule": bad}),)
    audit = make.audit_report(sources=(source,), findings=findings, dropped={bad: 1}, checks={bad: "x"})
    reader = read(page_of(reports, audit=audit, evaluation=evaluation))
    assert not {"script", "img"} & set(reader.tags)
    assert "".join(reader.text).count(bad) >= 8


def test_the_gate_in_words(reports: Any, make: Any) -> None:
    def headline_of(gate: Any) -> tuple[str, str]:
        found = page_headline(reports.audit, train=reports.train, evaluation=reports.evaluation, gate=gate)
        return found.tone, found.title

    assert headline_of(make.gate_report()) == ("pass", "The tuned model passed every requirement")
    assert headline_of(make.gate_report("fail")) == ("fail", "The tuned model was refused")
    open_ = ("inconclusive", "Not released: the evidence is not enough to tell")
    assert headline_of(make.gate_report("inconclusive")) == open_
    assert headline_of(make.gate_report("inconclusive", verdicts=())) == open_


@pytest.mark.parametrize("outcome", ["fail", "inconclusive"])
def test_a_refused_run_has_a_page_that_says_so(reports: Any, make: Any, outcome: str) -> None:
    text = "".join(read(page_of(reports, gate=make.gate_report(outcome))).text)
    assert "Nothing was released" in text and "tunesmith verify" not in text


def test_a_run_that_the_audit_stopped(reports: Any, make: Any) -> None:
    block = reports.audit.findings[0].model_copy(update={"action": "block"})
    audit = make.audit_report(findings=(block,), dropped={}, redacted={}, warned={}, test=None)
    found = page_headline(audit)
    assert (found.tone, found.title) == ("fail", "The audit stopped this run")
    assert found.lines[0].startswith("near-duplicate at tickets.jsonl:100: shares 41 of 44")
    assert found.lines[1] == "Findings that stop the run: 1. Nothing was trained."
    text = "".join(read(render_page(reports.recipe, audit)).text)
    assert "Nothing: the run stopped before training." in text
    assert "Not known: the run stopped before the evaluation." in text
    assert "None: the run stopped before the gate." in text


def test_a_run_stopped_after_training(reports: Any) -> None:
    assert page_headline(reports.audit, train=reports.train).title == "The run has trained, and stopped there"


def test_tiles(reports: Any) -> None:
    assert [(tile.name, tile.figure) for tile in summary_tiles(reports.audit, reports.train, reports.evaluation)] == [
        ("Rows read", "1,250"),
        ("Taken out by the audit", "34"),
        ("Weights tuned", "342,112"),
        ("Exact match", "86.0%"),
    ]


def test_findings_are_grouped_by_rule(reports: Any) -> None:
    groups = [(group.rule, group.count, len(group.examples)) for group in findings_by_rule(reports.audit)]
    assert groups == [
        ("near-duplicate", 14, 3),
        ("personal-data", 11, 3),
        ("exact-duplicate", 9, 3),
        ("split-leakage", 6, 3),
        ("empty-completion", 4, 3),
        ("unlicensed-source", 1, 1),
    ]


def test_samples_show_the_stronger_base(reports: Any) -> None:
    first, second = held_out_samples(reports.evaluation, results_by_metric(reports.evaluation))
    assert [(answer.name, answer.same) for answer in first.answers] == [
        ("Expected", False),
        ("Base, at its best without tuning", False),
        ("Tuned model", True),
    ]
    assert first.answers[0].text.startswith('{\n  "queue": "delivery"')
    assert first.answers[1].text == '{"queue": "returns", "fields": {"order": "40018"}, "reply": "Thank you'
    assert not second.answers[2].same


def test_a_system_without_a_number_is_named(reports: Any, make: Any) -> None:
    nothing = Insufficient(metric="exact-match", reason="every row is unreadable", n=300)
    system = SystemScores(system="tuned", how="greedy", estimates=(nothing,), scores=make.digest("d"))
    page = page_of(reports, evaluation=make.evaluation_report(systems=(system,), comparisons=()))
    assert "every row is unreadable" in "".join(read(page).text)


SLOW = {
    "windows": 9.0,
    "slow_windows": 2.0,
    "slowest_window_step": 31.0,
    "slowest_window_tokens_per_second": 180.2,
    "median_window_tokens_per_second": 1440.0,
}


def test_the_loss_is_drawn_three_times_and_the_rate_once(reports: Any) -> None:
    page = page_of(reports)
    assert page.count('class="line faint" d="M46.0') == 1
    assert page.count('class="line held" d="M') == 2  # the line itself and its sample below the chart
    assert page.count("<circle") == len(reports.train.held_out) + 1
    label = (
        "Line chart of the training loss: 2.950 at the first step, 0.398 at step 57; on rows held back from training"
    )
    assert f'aria-label="{label} 1.087 at first, 0.398 at last"' in page
    assert 'aria-label="Line chart of the learning rate, 0.00' in page


@pytest.mark.parametrize(
    ("distinct", "expected_text"),
    [
        (0, None),
        (151_200, "none: every token that was read was computed"),
        (
            37_800,
            "37,800 of 151,200 tokens were computed, 4.0 times fewer: what rows begin with in common is computed once",
        ),
    ],
)
def test_what_sharing_saved(make: Any, reports: Any, distinct: int, expected_text: str | None) -> None:
    train = make.train_report(distinct_tokens=distinct)
    assert prefix_saving(train) == expected_text
    text = " ".join("".join(read(page_of(reports, train=train)).text).split())
    assert ("Shared beginnings" in text) is (expected_text is not None)
    assert expected_text is None or expected_text in text


@pytest.mark.parametrize(
    ("measured", "expected_text"),
    [
        ({"seconds": 3.0}, None),
        ({"tokens_per_second": 1568.5}, "1,568 tokens a second"),
        ({"nominal_cores": 1.0}, "2 threads on 1 core"),
        (
            {"tokens_per_second": 12.0, "nominal_cores": 2.0, "effective_cores": 1.08},
            "12 tokens a second; 2 threads on 2 cores, which do the work of 1.1",
        ),
    ],
)
def test_what_the_machine_gave(make: Any, measured: dict[str, float], expected_text: str | None) -> None:
    assert machine_speed(make.train_report(measured=measured)) == expected_text


def test_findings_of_the_watchers_are_listed_and_stay_text(make: Any, reports: Any) -> None:
    bad = "<script>alert(1)</script>"
    watch = (
        WatchFinding(watcher="dead-tensor", step=10, severity="warn", message=bad, names=("a",)),
        WatchFinding(watcher="overfitting", step=57, severity="warn", message="it rises"),
    )
    train = make.train_report(watch=watch, measured=SLOW)
    slow = (
        "step 31: the machine computed 180 tokens a second, and 1,440 as a rule; it was under half of its usual speed in "
        "2 of 9 stretches"
    )
    assert [(item.watcher, item.message) for item in watcher_notices(train)] == [
        ("dead-tensor", f"step 10: {bad}"),
        ("overfitting", "step 57: it rises"),
        ("throughput", slow),
    ]
    reader = read(page_of(reports, train=train))
    text = " ".join("".join(reader.text).split())
    assert "What the watchers noticed" in text and f"dead-tensor step 10: {bad}" in text and slow in text
    assert "script" not in reader.tags


def test_no_findings_no_list(make: Any, reports: Any) -> None:
    train = make.train_report(measured=SLOW | {"slow_windows": 0.0})
    assert watcher_notices(train) == ()
    assert "watchers noticed" not in page_of(reports, train=train)
