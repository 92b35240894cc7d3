import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import IntegrityBroken
from tunesmith.trust.statement import (
    make_statement,
    parse_statement,
    release_name_and_version,
    release_statement,
    statement_bytes,
    statement_subjects,
)

A, B = "a" * 64, "b" * 64


def test_a_statement_is_exactly_this() -> None:
    statement = make_statement(
        {"z": A, "a": f"sha256:{B}"}, predicate_type="https://example.test/x", predicate={"n": 17}
    )
    assert statement_bytes(statement) == (
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"n":17},"predicateType":"https://example.test/x",'
        b'"subject":[{"digest":{"sha256":"'
        + B.encode()
        + b'"},"name":"a"},{"digest":{"sha256":"'
        + A.encode()
        + b'"},"name":"z"}]}'
    )
    assert parse_statement(statement_bytes(statement), where="f") == statement
    assert statement_subjects(statement, where="f") == {"a": B, "z": A}


@pytest.mark.parametrize("number", [float("nan"), 2**53])
def test_numbers_that_json_readers_disagree_on_are_refused(number: float) -> None:
    with pytest.raises(ValueError):
        statement_bytes(make_statement({}, predicate_type="t", predicate={"n": number}))


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": None},
        {"predicate": []},
        {"subject": {}},
        {"subject": ["x"]},
        {"subject": [{"name": "x", "digest": {"sha512": A}}]},
        {"subject": [{"name": "x", "digest": {"sha256": A.upper()}}]},
        {"subject": [{"name": "x", "digest": {"sha256": A[:-1]}}]},
        {"subject": [{"name": "x", "digest": {"sha256": A}}, {"name": "x", "digest": {"sha256": B}}]},
    ],
)
def test_what_is_not_a_statement_is_refused(change: dict[str, object]) -> None:
    statement = make_statement({"x": A}, predicate_type="t", predicate={}) | change
    with pytest.raises(IntegrityBroken) as caught:
        parse_statement(statement_bytes(statement), where="evidence/x.dsse.json")
    assert caught.value.where == "evidence/x.dsse.json"


def test_the_release_statement_says_which_release() -> None:
    statement = release_statement({"model.safetensors": A}, name="support-desk", version=3)
    assert statement["predicate"] == {"purl": "pkg:generic/support-desk@3"}
    assert statement["predicateType"] == "https://in-toto.io/attestation/release/v0.1"


@given(st.text(min_size=1, max_size=40).filter(str.isprintable), st.integers(1, 10**6))
def test_name_and_version_return(name: str, version: int) -> None:
    assert release_name_and_version(release_statement({}, name=name, version=version), where="f") == (name, version)


@pytest.mark.parametrize("purl", ["", "pkg:generic/x", "pkg:generic/x@0", "pkg:npm/x@1", "pkg:generic/x@1?a=b", 3])
def test_an_unreadable_release_is_refused(purl: object) -> None:
    statement = release_statement({}, name="x", version=1) | {"predicate": {"purl": purl}}
    with pytest.raises(IntegrityBroken):
        release_name_and_version(statement, where="f")


def test_another_predicate_is_not_a_release() -> None:
    statement = release_statement({}, name="x", version=1) | {"predicateType": "https://example.test/x"}
    with pytest.raises(IntegrityBroken, match="not a release statement"):
        release_name_and_version(statement, where="f")
