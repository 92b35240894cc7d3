"""The cards: no empty fields, front matter that huggingface_hub can read, all outside text escaped."""

import re
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from tunesmith.artifacts import BaseOrigin
from tunesmith.release.cards import FolderFacts, render_data_card, render_model_card
from tunesmith.release.cards.markdown import escape_markdown, format_code

FACTS = FolderFacts(version=3, key_id="ab" * 32, stored_precision="F32", with_base=True)


def card_of(run: Any, **changes: Any) -> str:
    parts = {"recipe": run.recipe, "facts": FACTS, "evaluation": run.evaluation} | changes
    return render_model_card(
        parts["recipe"],
        run.audit,
        train=parts.get("train", run.train),
        evaluation=parts["evaluation"],
        gate=run.gate,
        facts=parts["facts"],
    )


def has_no_empty_slot(text: str) -> None:
    assert "More Information Needed" not in text
    rows = [line for line in text.splitlines() if line.startswith("|") and line != "| | |"]
    empty = [row for row in rows if any(not cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1])]
    assert empty == []
    for heading, body in re.findall(r"^(## .+)\n((?:(?!^## ).*\n?)*)", text, re.MULTILINE):
        assert body.strip(), heading
    assert not re.search(r"\b(None|Undefined|nan|TODO|TBD)\b", text)


def test_the_model_card_has_no_empty_slot(reports: Any, make: Any) -> None:
    has_no_empty_slot(card_of(reports))
    bare = make.recipe_of(release={}, task="chat", audit={})
    text = card_of(reports, recipe=bare)
    has_no_empty_slot(text)
    assert "## Limits\n\nnot stated by the maker\n" in text
    assert "| Licence of the weights | not stated by the maker (declared) |" in text


def test_the_hub_library_reads_the_front_matter(reports: Any) -> None:
    data = ModelCard(card_of(reports), ignore_metadata_errors=False).data
    assert (data.license, data.base_model, data.library_name) == ("cc-by-4.0", "tunesmith/pebble", "peft")
    assert data.base_model_relation == "adapter"
    assert data.datasets == ["tickets.jsonl"]
    assert data.model_name == "support-desk"
    first = data.eval_results[0]
    assert (first.metric_type, first.metric_value, first.dataset_split) == ("exact-match", 0.86, "test")
    assert first.metric_args["n"] == 300
    assert first.metric_args["ci"] == [0.82, 0.9]
    assert first.metric_args["evidence"] == reports.evaluation.systems[0].scores
    assert first.verified is None


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (None, {"license": "unknown"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("MIT OR Apache-2.0", {"license": "other", "license_name": "MIT OR Apache-2.0"}),
        ("LicenseRef-Shop", {"license": "other", "license_name": "LicenseRef-Shop"}),
    ],
)
def test_licences(reports: Any, make: Any, given: str | None, written: dict[str, str]) -> None:
    text = card_of(reports, recipe=make.recipe_of(release={"license": given}))
    head = yaml.safe_load(text.split("---\n")[1])
    assert {key: head[key] for key in head if key.startswith("license")} == written


def test_a_model_from_nothing_names_no_base(reports: Any, make: Any) -> None:
    recipe = make.recipe_of(base={"config": "config.json", "tokenizer": {"train": 400}, "seed": 3})
    model = reports.train.model.model_copy(update={"kind": "model", "name": "new"})
    text = card_of(reports, recipe=recipe, train=make.train_report(model=model, method="full"))
    head = yaml.safe_load(text.split("---\n")[1])
    assert "base_model" not in head and head["library_name"] == "transformers"
    assert "none: trained from random weights, seed 3" in text
    has_no_empty_slot(text)


def test_rounded_weights_are_said_to_be_unevaluated(reports: Any, make: Any) -> None:
    text = card_of(reports, recipe=make.recipe_of(release={"precision": "bf16"}))
    assert "were not evaluated" in text
    assert "were not evaluated" not in card_of(reports)


def test_a_large_base_is_named_by_its_digest(reports: Any) -> None:
    text = card_of(reports, facts=FolderFacts(3, "ab" * 32, "F32", with_base=False))
    assert (
        reports.train.base.tree in text
        and "base/" not in text.split("## How to load it")[1].split("## How to verify")[0]
    )


def test_a_large_base_of_the_makers_machine_is_no_repository(reports: Any) -> None:
    base = reports.train.base.model_copy(update={"name": "local:mine@sha256:0123456789ab"})
    train = reports.train.model_copy(update={"base": base})
    text = card_of(reports, train=train, facts=FolderFacts(3, "ab" * 32, "F32", with_base=False))
    assert "It was a folder on the maker's machine" in text
    assert 'AutoModelForCausalLM.from_pretrained("PATH/TO/BASE")' in text
    assert "base_model" not in yaml.safe_load(text.split("---")[1])


def test_text_from_outside_stays_text(reports: Any, make: Any) -> None:
    use = "sorting | <script>x</script>\n# A heading\n[link](https://example.test) `code`"
    text = card_of(reports, recipe=make.recipe_of(release={"intended_use": use}))
    line = text.split("## Intended use\n\n")[1].splitlines()[0]
    assert line == (r"sorting \| \<script\>x\</script\> \# A heading \[link\](https://example.test) \`code\`")


def test_quoting() -> None:
    assert escape_markdown("a_b*c|d\n e") == r"a\_b\*c\|d e"
    assert format_code("a`b|c") == "`ab/c`"


def test_every_field_of_the_data_card_is_marked(reports: Any) -> None:
    text = render_data_card(reports.recipe, reports.audit, train=reports.train)
    has_no_empty_slot(text)
    marked = [line for line in text.splitlines() if re.search(r"\| (measured|declared|missing) \|$", line)]
    whole, of_each_of_two_files, counts, unknown = 13, 15, 9, 4
    assert len(marked) == whole + 2 * of_each_of_two_files + counts + unknown
    assert "| Licence of the whole | CC-BY-4.0 | declared |" in marked
    assert "| Rows read | 950 | measured |" in marked
    assert "| Licence | CC-BY-4.0 | declared |" in marked
    assert "| Legal basis (GDPR Art. 6) | not stated by the maker | missing |" in marked
    assert "| Rows taken out | 34 | measured |" in marked
    assert "| `near-duplicate` | 14 | 0 | 0 | shares 41 of 44 runs of five words with a row before it |" in text
    assert "- `order-number`: invented for this example" in text
    assert "MUST NOT LEAVE" not in text


def test_a_clean_audit_has_a_card_too(reports: Any, make: Any) -> None:
    audit = make.audit_report(findings=(), dropped={}, redacted={}, warned={}, test=None, checks={})
    text = render_data_card(make.recipe_of(audit={}), audit, train=reports.train)
    assert "Nothing: no rule found anything." in text and "No characters were replaced." in text
    has_no_empty_slot(text)


def from_catalogue(run: Any, license: str | None) -> Any:
    origin = BaseOrigin(
        source="wheel a-base==1.0, SHA-256 abc",
        license=license,
        license_source="its card",
        conversion="dequantised from Q4_1 (210 tensors) and Q8_0 (1) to bf16",
        command="tunesmith base get a-base",
        hub="them/A-Base",
    )
    return run.train.model_copy(update={"base": run.train.base.model_copy(update={"name": "a-base", "origin": origin})})


def test_the_card_says_where_the_base_comes_from_and_under_which_licence(reports: Any) -> None:
    apart = FolderFacts(version=3, key_id="ab" * 32, stored_precision="F32", with_base=False)
    text = card_of(reports, train=from_catalogue(reports, "Apache-2.0"), facts=apart)
    has_no_empty_slot(text)
    assert (
        "| Base comes from | wheel a-base==1.0, SHA-256 abc; its weights were "
        "dequantised from Q4\\_1 (210 tensors) and Q8\\_0 (1) to bf16 |"
    ) in text
    assert "| Licence of the base | Apache-2.0, as stated by its card |" in text
    assert "Get it with `tunesmith base get a-base`, which prints its folder" in text
    assert 'from_pretrained("PATH/TO/BASE")' in text
    assert ModelCard(text, ignore_metadata_errors=False).data.base_model == "them/A-Base"


def test_a_licence_that_is_not_open_or_not_known_is_said_to_be_so(reports: Any) -> None:
    text = card_of(reports, train=from_catalogue(reports, "LicenseRef-Theirs"))
    assert (
        "LicenseRef-Theirs, as stated by its card; it is not an open licence, and its terms go with this release |"
        in text
    )
    for train in (from_catalogue(reports, None), reports.train):
        text = card_of(reports, train=train)
        assert "| Licence of the base | not known; ask its publisher before you pass this release on |" in text
