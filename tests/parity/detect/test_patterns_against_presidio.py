"""Recall beside presidio-analyzer 2.2.366 and detect-secrets 1.5.0, on the rows of `bench/rows.py`.

Whatever Presidio's 17 default recognisers without a language model or detect-secrets' plugins for known forms find of what was
planted, we find, with the same kind and place; and where Presidio, from its score of 0.4 on, and we disagree about near misses
is pinned, so that a change of either shows.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import pyarrow as pa
import pytest

from tunesmith.detect.patterns import PERSONAL, SECRETS, scan_column

Hits = list[list[tuple[int, int, str]]]
Scan = Callable[[Sequence[str]], Hits]


def needs(*modules: str) -> Any:
    missing = [name for name in modules if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The modules `rows` and `patterns_theirs` of the folder bench."""
    from pathlib import Path

    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(Path(__file__).parents[3] / "bench"))
    import patterns_theirs
    import rows

    yield rows, patterns_theirs
    for name in ("rows", "planted", "planted_values", "patterns_theirs"):
        sys.modules.pop(name, None)
    patch.undo()


def ours(texts: Sequence[str]) -> Hits:
    found = scan_column(pa.array(texts, type=pa.string()), PERSONAL, SECRETS).to_pylist()
    return [[(hit["start"], hit["end"], hit["kind"]) for hit in hits] for hits in found]


def lost(made: Sequence[Any], theirs: Hits, *, named: bool) -> list[tuple[str, str]]:
    """(kind, text) of each planted value that they hit and we do not hit exactly, by its kind."""
    mine = ours([text for row in made for text in row.texts])
    missing = []
    for number, row in enumerate(made):
        for one in row.planted:
            at = 2 * number + one.message
            seen = [kind for start, end, kind in theirs[at] if start < one.end and end > one.start]
            if (one.kind in seen if named else seen) and (one.start, one.end, one.kind) not in mine[at]:
                missing.append((one.kind, row.texts[one.message][one.start : one.end]))
    return missing


def found(made: Sequence[Any], theirs: Hits) -> set[str]:
    """Kinds of which they hit something planted, so that the comparison is not empty."""
    return {
        one.kind
        for number, row in enumerate(made)
        for one in row.planted
        if any(start < one.end and end > one.start for start, end, _ in theirs[2 * number + one.message])
    }


@needs("presidio_analyzer", "spacy")
@pytest.mark.filterwarnings("ignore")  # its own dependencies' warnings at import; no code of ours warns under it
def test_what_presidio_finds_of_the_same_kinds_is_found(bench: Any) -> None:
    rows, theirs = bench
    kinds = sorted(set(theirs.KINDS.values()))
    made = list(rows.rows(220, 7, planted=0.7, decoys=0.2, kinds=kinds))
    hits = theirs.presidio()([text for row in made for text in row.texts])
    assert found(made, hits) == set(kinds)
    assert lost(made, hits, named=True) == []


@needs("presidio_analyzer", "spacy")
@pytest.mark.filterwarnings("ignore")
def test_near_misses_raise_no_alarm_of_ours_and_some_of_presidio_s(bench: Any) -> None:
    rows, theirs = bench
    texts = [text for row in rows.rows(200, 8, planted=0, decoys=1) for text in row.texts]
    assert [hit for hits in ours(texts) for hit in hits] == []
    alarms = {hit.kind for hits in theirs.presidio(0.4)(texts) for hit in hits} & set(theirs.KINDS.values())
    assert alarms >= {"date-of-birth", "ip-address", "phone"}


@needs("detect_secrets")
def test_what_detect_secrets_finds_by_form_is_found(bench: Any) -> None:
    rows, theirs = bench
    made = list(rows.rows(600, 9, planted=0.7, decoys=0.2, kinds=theirs.THEIR_SECRETS))
    hits = theirs.detect_secrets(fixed=True)([text for row in made for text in row.texts])
    assert found(made, hits) == set(theirs.THEIR_SECRETS)
    assert lost(made, hits, named=False) == []


def test_every_planted_value_is_found_where_it_stands(bench: Any) -> None:
    """By check digits worked out apart from the package; all kinds, none left out and nothing else hit.

    A password in a URL and the host behind its @ are an e-mail address by their form, too.
    """
    rows, _ = bench
    made = list(rows.rows(2000, 10, planted=0.5, decoys=0.5))
    planted = [
        [(one.start, one.end, one.kind) for one in row.planted if one.message == message]
        for row in made
        for message in range(2)
    ]
    assert {one.kind for row in made for one in row.planted} == set(rows.KINDS)
    mine = [
        [hit for hit in hits if hit[2] != "email" or not any(kind == "url-password" for *_, kind in expected)]
        for expected, hits in zip(planted, ours([text for row in made for text in row.texts]), strict=True)
    ]
    wrong = [
        (expected, hits, text)
        for expected, hits, text in zip(planted, mine, (t for row in made for t in row.texts), strict=True)
        if expected != hits
    ]
    assert wrong == []
