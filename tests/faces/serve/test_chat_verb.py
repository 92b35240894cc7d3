"""`tunesmith chat`: a verified release answers in the terminal; the conversation is kept, and what cannot be answered is told."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.cli.chat import strip_control_characters
from tunesmith.cli.main import app
from tunesmith.context import Context
from tunesmith.serve.chat_session import ChatSession
from tunesmith.serve.loaded_release import open_release
from tunesmith.trust import FileSigner

Make = Callable[..., Path]


@pytest.fixture
def key(work: Path, signer: FileSigner) -> Path:
    path = work / "chat.pub"
    path.write_bytes(signer.public_pem())
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, typed: str = "") -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        app(["chat", *map(str, arguments)], prog_name="tunesmith")
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def talker(make_release: Make) -> Path:
    return make_release("talker")


def test_one_message(
    talker: Path, key: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(monkeypatch, talker, "--key", key, "-m", "where is my card", "--max-new-tokens", "4")
    assert code == 0
    assert capsys.readouterr().out.endswith("\n")


def test_a_release_that_was_changed_is_refused(
    make_release: Make, key: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_release("changed")
    (folder / "config.json").write_text("{}", encoding="utf-8")
    assert run(monkeypatch, folder, "--key", key, "-m", "hello") == 4
    assert capsys.readouterr().out == ""


def test_a_message_that_cannot_be_answered_is_told_and_the_next_is_read(
    talker: Path, key: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = "word " * 3000 + "\n/new\nhello\n"
    assert run(monkeypatch, talker, "--key", key, "--max-new-tokens", "4", typed=typed) == 0
    said = capsys.readouterr()
    assert "the context holds" in said.err and "/new starts a new conversation" in said.err
    assert said.out.count("\n") == 1


def test_the_conversation_is_what_the_next_answer_follows(talker: Path, signer: FileSigner, context: Context) -> None:
    release = open_release(talker, signer.public_pem(), context=context)
    conversation = ChatSession(release, max_new_tokens=4)
    first = "".join(conversation.say("where is my card"))
    assert [(turn.role, turn.text) for turn in conversation.turns] == [
        ("user", "where is my card"),
        ("assistant", first),
    ]
    "".join(conversation.say("and now"))
    alone = ChatSession(release, max_new_tokens=4)
    assert len(conversation.turns) == 4
    conversation.forget()
    assert "".join(conversation.say("and now")) == "".join(alone.say("and now"))


def test_a_classifier_answers_with_one_of_its_labels(make_release: Make, signer: FileSigner, context: Context) -> None:
    labels = ["card arrival", "exchange rate"]
    folder = make_release("sorter", task="classify", labels=labels)
    conversation = ChatSession(open_release(folder, signer.public_pem(), context=context), max_new_tokens=4)
    assert "".join(conversation.say("where is my card")) in labels
    assert conversation.turns == []


def test_a_terminal_gets_no_control_characters() -> None:
    assert strip_control_characters("a\x1b[31mb\nc\td\x07") == "a[31mb\nc\td"
    assert strip_control_characters("a\u202eb\u2066c\x9b") == "abc"


def test_a_terminal_gets_spaces_of_any_width_and_joiners() -> None:
    text = "Ça va\u00a0! 東京\u3000駅 می\u200cخواهم 👩\u200d🔬"
    assert strip_control_characters(text) == text
