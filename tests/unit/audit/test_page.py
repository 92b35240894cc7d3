"""The audit page is self-contained, shows matches, replacements and comparisons, hides personal data and runs no row content."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tunesmith import audit
from tunesmith.artifacts import AuditReport
from tunesmith.audit.page import figures
from tunesmith.audit.page.finding_examples import ShownMessage, compare_rows, finding_examples
from tunesmith.audit.page.highlights import Highlight
from tunesmith.audit.page.summary import advice, headline
from tunesmith.context import Context
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings

RIGHTS = {"license": "CC0-1.0", "origin": "written here", "basis": "contract"}
VOID = {"meta", "br", "link", "img", "hr", "input"}
QUESTION = "please tell me how many days I have to send this {} back to you"
QUIET = ("outlier", "language", "low-quality", "truncated-completion")
ATTACK = "<script>alert('x')</script><img src=x onerror=alert(1)></dd></main>\"'&"


class Reader(HTMLParser):
    """Collects tags, attributes and text, what stands in each kind of mark, and checks that tags close in their places."""

    def __init__(self) -> None:
        HTMLParser.__init__(self)
        self.open: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.marks: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.names |= set(found)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        if tag == "mark":
            self.marks.append((found.get("class", "match"), ""))
        if tag not in VOID:
            self.open.append((tag, found.get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1][0] == "mark":
            kind, said = self.marks.pop()
            self.marks.append((kind, said + data))


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def put(context: Context, rows: list[tuple[str, str]], name: str = "train.jsonl") -> None:
    lines = [json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in rows]
    (context.data_root / name).write_text("".join(f"{line}\n" for line in lines))


def audited(context: Context, *, test: bool = False, **settings: Any) -> AuditReport:
    settings.setdefault("off", QUIET)
    sources = DataSettings(
        train=(SourceSettings(path="train.jsonl", **RIGHTS),),
        test=(SourceSettings(path="test.jsonl", **RIGHTS),) if test else (),
    )
    return audit.run(sources, AuditSettings(**settings), context, task=TaskSettings(type="chat"))


def page_of(context: Context, *, name: str = "hats", **settings: Any) -> Reader:
    return read(audit.report_page(audited(context, **settings), context.store, name=name))


def marks(reader: Reader) -> list[tuple[str, str]]:
    """The marks of the examples, less those of the legend."""
    return [mark for mark in reader.marks if mark[1] not in ("matched", "differs", "[email-1]", "••••")]


def test_the_page_loads_and_runs_nothing(context: Context) -> None:
    put(context, [("a hat", "yes"), ("a hat", "yes"), (ATTACK, ATTACK), (ATTACK, "")])
    reader = page_of(context, name=ATTACK)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "input"} & reader.tags
    assert not {"src", "srcset", "action", "style", "background"} & reader.names
    assert not [name for name in reader.names if name.startswith("on")]
    assert all(link.startswith("#") for link in reader.links)
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.text.count("<script>alert('x')</script>") >= 3, "shown as text"


def test_the_same_report_gives_the_same_bytes(context: Context) -> None:
    put(context, [("a hat", "yes"), ("a hat", "yes"), ("a coat", "")])
    report = audited(context)
    assert audit.report_page(report, context.store, name="x") == audit.report_page(report, context.store, name="x")


def test_matched_text_is_marked(context: Context) -> None:
    put(context, [("you stupid idiot, where is my lamp", "in the post"), ("a coat", "yes")])
    assert marks(page_of(context)) == [("match", "you stupid idiot")]


def test_replaced_text_is_shown_before_and_after(context: Context) -> None:
    put(context, [("I am ann@example.org and my dog is Rex", "hello"), ("bob@example.org here", "yes")])
    reader = page_of(context)
    assert reader.marks.count(("placed", "[email-1]")) == 2, "in the legend and in the row"
    assert ("placed", "[email-2]") in reader.marks
    assert reader.marks.count(("gone", "•" * 12)) == 2
    assert re.search(
        r"Before\s*Prompt\s*I am •{12} and my dog is Rex.*After\s*Prompt\s*I am \[email-1\] and my dog",
        reader.text,
        re.S,
    )


@pytest.mark.parametrize("action", ["redact", "warn", "drop", "block"])
def test_personal_data_and_secrets_never_appear(context: Context, action: str) -> None:
    secret = "mail ann@example.org, my password is Tr0ub4dor&3, card 4111 1111 1111 1111"
    put(context, [(secret, "you stupid idiot"), (f"{secret} x", ""), (f"{secret} x", ""), ("a coat", "yes")])
    page = audit.report_page(audited(context, **{action: ["personal-data", "secrets"]}), context.store, name="x")
    assert "personal-data" in page
    assert not [word for word in ("ann@", "Tr0ub4dor", "4111") if word in page]


def test_exempt_kinds_are_still_masked_on_the_page(context: Context) -> None:
    put(context, [("I am ann@example.org, you stupid idiot", "ok"), ("a coat", "yes")])
    reader = page_of(context, exempt={"email": "invented"})
    assert "ann@" not in reader.text
    assert marks(reader) == [("masked", "•" * 12), ("match", "you stupid idiot")]


def test_the_other_row_is_shown_with_differences(context: Context) -> None:
    put(context, [(QUESTION.format("red hat"), "14"), (QUESTION.format("blue hat"), "14")])
    reader = page_of(context)
    assert marks(reader) == [("differs", "blue"), ("differs", "red")]
    assert re.search(r"train\.jsonl:2.*This row.*Compared with\s*train\.jsonl:1", reader.text, re.S)


def test_two_answers_to_one_question_are_marked_as_different(context: Context) -> None:
    put(
        context,
        [("is this hat still for sale", "No."), ("is this hat still for sale", "Yes, come and fetch it at the shop.")],
    )
    off = tuple(name for name in audit.check_ids() if name != "conflicting-labels")
    assert ("differs", "No") in marks(page_of(context, off=off))


def test_a_held_out_row_can_be_the_other_one(context: Context) -> None:
    put(context, [(QUESTION.format("hat"), "14"), ("a coat", "yes")])
    put(context, [(QUESTION.format("hat").upper(), "14")], "test.jsonl")
    reader = page_of(context, test=True)
    assert re.search(r"Compared with\s*test\.jsonl:1", reader.text)
    assert "PLEASE TELL ME HOW MANY DAYS" in reader.text


def test_hidden_characters_are_spelled_out(context: Context) -> None:
    put(context, [("say \u202egnp.exe\u202c to me", "ok"), ("a coat", "yes")])
    page = audit.report_page(audited(context), context.store, name="x")
    assert "\u202e" not in page
    assert "⟨U+202E⟩" in page


def test_charts_have_labels_and_tables(context: Context) -> None:
    put(
        context,
        [(f"is hat number {n} for sale, {'and ' * n}", f"answer {n}") for n in range(1, 9)] + [("a", "b"), ("a", "b")],
    )
    page = audit.report_page(audited(context), context.store, name="x")
    charts = re.findall(r"<svg[^>]*>", page)
    assert len(charts) >= 4
    assert all(' role="img" aria-label="' in chart for chart in charts)
    assert page.count("The same as a table") == len(charts)
    assert '<th scope="row">2 rows alike</th><td class="number" data-label="Groups">1</td>' in page
    assert '<th scope="row">CC0-1.0</th><td class="number" data-label="Rows">10</td>' in page


@pytest.mark.parametrize(
    ("settings", "tone", "title"),
    [
        ({}, "pass", "Ready to train"),
        ({"warn": ["empty-completion"]}, "inconclusive", "Ready to train, with findings to review"),
        ({"block": ["empty-completion"]}, "fail", "1 finding blocks the run"),
        ({"off": ("empty-completion", *QUIET)}, "pass", "No findings"),
    ],
)
def test_the_headline(context: Context, settings: dict[str, Any], tone: str, title: str) -> None:
    put(context, [("a hat", "yes"), ("a coat", "")])
    found = headline(audited(context, **settings))
    assert (found.tone, found.title) == (tone, title)


def test_no_training_rows_is_on_the_page(context: Context) -> None:
    put(context, [("a hat", "")])
    reader = page_of(context)
    assert "1 finding blocks the run" in reader.text
    assert "no training row is left after the audit" in reader.text


def test_advice_follows_the_action() -> None:
    assert advice("near-duplicate", "drop")[0].startswith("Nothing: these rows are not used for training.")
    assert "{warn: [near-duplicate]}" in advice("near-duplicate", "drop")[1]
    assert "{drop: [conflicting-labels]}" in advice("conflicting-labels", "warn")[1]
    assert advice("imbalance", "warn", whole_files=True)[0].startswith("This is about whole files")
    assert len(advice("no-training-rows", "block")) == 1


def test_examples_have_different_reasons(context: Context) -> None:
    put(context, [(f"mail a{n}@example.org", "ok") for n in range(5)] + [("call +49 30 901820 now", "ok")])
    report = audited(context, off=(*QUIET, "near-duplicate"))
    (first, second) = finding_examples(report, context.store, each=2)["personal-data"]
    assert [sample.finding.reason for sample in (first, second)] == ["holds email (1)", "holds phone (1)"]


def test_long_conversations_show_the_message_with_the_match(context: Context) -> None:
    turns = [{"role": role, "content": f"turn {n}"} for n in range(6) for role in ("user", "assistant")]
    turns[2]["content"] = "you stupid idiot"
    (context.data_root / "train.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    report = audited(context)
    (sample,) = finding_examples(report, context.store, each=1)["toxicity"]
    assert (len(sample.turns), sample.more) == (4, 8)
    assert [turn.pieces[0].kind for turn in sample.turns] == ["match", "plain", "plain", "plain"]


def test_the_excerpt_is_shown_for_rows_missing_from_the_store(context: Context) -> None:
    put(context, [("you stupid idiot, where is my lamp", "in the post"), ("a coat", "yes")])
    report = audited(context)
    gone = report.model_copy(update={"train": audited(context, drop=["toxicity"]).train})
    reader = read(audit.report_page(gone, context.store, name="x"))
    assert "you stupid idiot, where is my lamp" in reader.text


def test_matched_words_are_marked_in_the_other_row_too() -> None:
    mine = [ShownMessage("Prompt", (Highlight("now "), Highlight("send the hat", "match", "run"), Highlight(" home")))]
    theirs = [ShownMessage("Prompt", (Highlight("Send the hat? Yes, send it"),))]
    assert compare_rows(mine, theirs) == (
        mine,
        [ShownMessage("Prompt", (Highlight("Send the hat", "match"), Highlight("? Yes, send it")))],
    )


def test_rows_with_nothing_in_common_are_not_marked() -> None:
    mine, theirs = (
        [ShownMessage("Prompt", (Highlight("one two three"),))],
        [ShownMessage("Prompt", (Highlight("four five"),))],
    )
    assert compare_rows(mine, theirs) == (mine, theirs)


def test_every_chart_with_data(context: Context) -> None:
    lines = [
        {"text": f"where is my {thing} now please", "label": "lost", "source": "forum"}
        for thing in ("hat", "coat", "rug")
    ]
    lines += [{"text": "can I send the tent back to you", "label": "returns"}] * 2
    (context.data_root / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = audited(context, off=(*QUIET, "near-duplicate"))
    told = report.profile.train.model_copy(update={"languages": {"en": 3, "und": 2}})
    looks = figures.row_charts(report.model_copy(update={"profile": report.profile.model_copy(update={"train": told})}))
    assert {figure.title: figure.rows for figure in looks if figure.title != "Length of prompts"} == {
        "Languages": (("en", "3"), ("undetermined", "2")),
        "Groups of duplicates": (("2 rows alike", "1"),),
        "Sources": (("forum", "3"), ("train.jsonl", "2")),
        "Licences": (("CC0-1.0", "5"),),
        "Labels": (("lost", "3"), ("returns", "2")),
    }
    assert "<svg" in looks[0].chart and looks[0].title == "Length of prompts"


def test_undeclared_and_rare_values_are_bars_too(context: Context) -> None:
    put(context, [("a hat", "yes"), ("a coat", "no")])
    report = audited(context)
    many = {f"MIT-{n:02}": 1 for n in range(20)} | {"": 7}
    told = report.profile.train.model_copy(update={"licenses": many, "rows": 30})
    (licences,) = [
        figure
        for figure in figures.row_charts(
            report.model_copy(update={"profile": report.profile.model_copy(update={"train": told})})
        )
        if figure.title == "Licences"
    ]
    assert "not declared 3; " in licences.chart and "all others 16" in licences.chart
    assert licences.rows[0] == ("not declared", "3") and licences.rows[-1] == ("all others", "7")
