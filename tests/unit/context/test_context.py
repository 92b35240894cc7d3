"""Named random streams from one seed, provenance without time, silent progress by default."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from tunesmith.artifacts import Text, canonical_bytes, digest_of
from tunesmith.context import Context, SilentProgress, SystemClock
from tunesmith.store import open_store
from tunesmith.store.versions import code_version, library_versions


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=7)


def test_a_seed_is_the_first_63_bits_of_the_digest_of_seed_and_purpose(context: Context) -> None:
    expected = int(hashlib.sha256(b"7:train/order/0").hexdigest()[:16], 16) >> 1
    assert context.seed_for("train/order/0") == expected
    assert 0 <= expected < 2**63


def test_streams_repeat_by_name_and_differ_between_names_and_seeds(context: Context) -> None:
    first = context.rng("a").integers(0, 2**32, size=8).tolist()
    assert context.rng("a").integers(0, 2**32, size=8).tolist() == first
    assert context.rng("b").integers(0, 2**32, size=8).tolist() != first
    other = Context(store=context.store, data_root=context.data_root, home=context.home, seed=8)
    assert other.rng("a").integers(0, 2**32, size=8).tolist() != first


def test_provenance_is_a_function_of_what_it_names(context: Context, tmp_path: Path) -> None:
    one = context.provenance("audit", inputs={"b": "2", "a": "1"}, settings={"x": 1})
    assert list(one.inputs) == ["a", "b"]
    assert one.settings == digest_of(canonical_bytes({"x": 1}))
    assert (one.stage, one.seed, one.code, one.versions) == ("audit", 7, code_version(), library_versions())
    elsewhere = Context(store=context.store, data_root=tmp_path / "x", home=tmp_path / "y", seed=7)
    assert elsewhere.provenance("audit", inputs={"a": "1", "b": "2"}, settings={"x": 1}) == one
    assert context.provenance("audit", inputs={"a": "1", "b": "2"}, settings={"x": 2}) != one


def test_settings_may_be_an_artifact(context: Context) -> None:
    text = Text(text="x")
    assert context.provenance("s", inputs={}, settings=text).settings == text.digest()


def test_versions_are_stable_digests() -> None:
    assert code_version().startswith("sha256:")
    assert len(code_version()) == 71
    assert {"torch", "transformers", "tokenizers", "peft", "daft"} <= library_versions().keys()
    assert "absent" not in library_versions().values()


def test_the_clock_is_utc_and_its_seconds_never_fall() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    first = clock.seconds()
    assert clock.seconds() >= first


def test_silence_yields_everything_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    silence = SilentProgress()
    assert list(silence.track([1, 2], label="x", total=2)) == [1, 2]
    silence.say("hello")
    assert tuple(capfd.readouterr()) == ("", "")
