"""The data file of the catalogue, entry by entry, and how a name is found."""

import re

import pytest
from pydantic import ValidationError

from tunesmith.data.licenses import license_refusal
from tunesmith.errors import Misuse, RecipeError
from tunesmith.models.bases import catalogue
from tunesmith.models.bases.catalogue import (
    EMBEDDED_BASE,
    BaseEntry,
    HubSource,
    WheelSource,
    entries,
    find_entry,
    pinned_sources,
)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_entry_says_what_it_must(entry: BaseEntry) -> None:
    assert entry.family and entry.license_source and entry.template
    assert license_refusal(entry.license, (entry.license,)) is None, "an SPDX expression, or a LicenseRef of its own"
    if entry.license.startswith("LicenseRef-"):
        assert "not open" in entry.notes
    if "chat" in entry.fits:
        assert entry.template != "none"
    for source in entry.sources:
        if isinstance(source, WheelSource):
            assert {path for path in source.members.values() if path.endswith((".gguf", ".safetensors"))} <= set(
                entry.digests
            )


def test_names_are_there_once_and_are_no_paths() -> None:
    names = [entry.name for entry in entries()]
    assert len(set(names)) == len(names)
    assert [name for name in names if "/" in name] == [EMBEDDED_BASE]
    assert not any(name.endswith(".gguf") for name in names)


def test_the_bases_that_are_promised_are_there() -> None:
    wanted = {
        EMBEDDED_BASE,
        "smollm2-135m-instruct",
        "all-minilm-l6-v2",
        "qwen3-0.6b",
        "qwen3.5-0.8b",
        "llama-3.2-1b-instruct",
    }
    wanted |= {"gemma-3-270m-it", "smollm3-3b", "modernbert-base", "modernbert-large", "t5-small", "bart-base"}
    assert wanted <= {entry.name for entry in entries()}
    assert {fit for entry in entries() for fit in entry.fits} == {"chat", "text", "encoder", "seq2seq"}


def test_an_unknown_name_gets_near_ones() -> None:
    with pytest.raises(Misuse, match="no base is called 'smollm2-135m-instrukt'") as refused:
        find_entry("smollm2-135m-instrukt")
    assert refused.value.hint.startswith("did you mean 'smollm2-135m-instruct'")
    with pytest.raises(Misuse) as refused:
        find_entry("zzzzzzzz")
    assert refused.value.hint == "`tunesmith base list` shows the names"


def test_the_key_of_a_source_stands_for_its_bytes_and_the_converter() -> None:
    (one,) = pinned_sources(find_entry("smollm2-135m-instruct"))
    other = one._replace(source=one.source.model_copy(update={"sha256": "0" * 64}))
    assert len({one.key("a"), one.key("b"), other.key("a"), one.key("a")}) == 3


def entry(**changes: object) -> dict[str, object]:
    wheel = {
        "kind": "wheel",
        "package": "a-base",
        "version": "1.0",
        "sha256": "0" * 64,
        "bytes": 1,
        "members": {"a/m.gguf": "m.gguf"},
    }
    source = {**wheel, **changes.pop("source", {})}  # type: ignore[arg-type]
    plain = {
        "name": "a-base",
        "family": "llama",
        "parameters": 1,
        "license": "MIT",
        "license_source": "its card",
        "sources": [source],
        "digests": {"m.gguf": "0" * 64},
        "template": "own",
        "fits": ["chat"],
    }
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {"members": {"a/m.gguf": "../m.gguf"}}}, "does not stay inside"),
        ({"source": {"members": {"a/m.gguf": "/tmp/m.gguf"}}}, "does not stay inside"),
        ({"source": {"members": {"../m.gguf": "m.gguf"}}}, "does not stay inside"),
        ({"source": {"package": "--index-url"}}, "should match pattern"),
        ({"source": {"version": "1.0; rm"}}, "should match pattern"),
        ({"source": {"sha256": "abc"}}, "should match pattern"),
        ({"digests": {}}, "no digest for m.gguf"),
        ({"licence": "MIT"}, "Extra inputs are not permitted"),
        ({"sources": [{"kind": "hub", "repo": "a/b", "revision": "main"}]}, "should match pattern"),
    ],
)
def test_an_entry_that_could_do_harm_is_refused(change: dict[str, object], message: str) -> None:
    BaseEntry.model_validate(entry())
    with pytest.raises(ValidationError, match=re.escape(message)):
        BaseEntry.model_validate(entry(**change))


def test_a_base_without_a_revision_asks_for_one() -> None:
    hub = {"kind": "hub", "repo": "them/a-base", "revision": None}
    loose = BaseEntry.model_validate(entry(sources=[hub], digests={}))
    with pytest.raises(RecipeError, match="has no pinned revision of a-base") as refused:
        pinned_sources(loose)
    assert refused.value.hint == (
        "choose a commit of them/a-base: `tunesmith base get a-base --network --revision <40 hex digits>`"
    )
    (one,) = pinned_sources(loose, "1" * 40)
    assert isinstance(one.source, HubSource) and one.source.revision == "1" * 40
    with pytest.raises(RecipeError, match="is not on the Hub"):
        pinned_sources(BaseEntry.model_validate(entry()), "1" * 40)


def test_the_command_that_fetches_says_what_is_needed() -> None:
    assert catalogue.fetch_command(find_entry("smollm2-135m-instruct")) == "tunesmith base get smollm2-135m-instruct"
