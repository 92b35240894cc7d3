"""`tunesmith chat FOLDER --key PUB`."""

import sys
from typing import TYPE_CHECKING, Annotated
from unicodedata import category

import typer

from tunesmith.cli import options, talk

if TYPE_CHECKING:
    from tunesmith.serve.conversation import Conversation

NEW = "/new"
PROMPT = "> "
KEPT = "\n\t\u200c\u200d"
"""The last two join letters, or keep them apart, in Persian, in Indian scripts and in emoji."""


def command(
    folder: options.ReleaseFolder,
    *,
    key: options.KeyFile,
    message: Annotated[
        str | None,
        typer.Option("--message", "-m", help="Answer this one message and end.", show_default=False),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Tokens of an answer at most.")] = 512,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help="0: the likeliest token each time.")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the sampling, with a temperature.")] = 0,
    threads: options.Threads = None,
    store: options.StoreFolder = None,
) -> None:
    """Talk to a verified release in the terminal: one message a line; /new begins another conversation, Ctrl-D ends.

    The base of an adapter is looked for in --store, or in the nearest `.tunesmith` above the release.
    """
    from tunesmith.errors import Misuse

    if not folder.is_dir():
        raise Misuse("there is no such release folder", where=str(folder), hint="`tunesmith run` says where it put it")
    with options.base_store(folder, store) as place, talk.progress(quiet=False) as progress:
        progress.say(f"verifying and loading {folder}")
        from tunesmith.cli.stored import new_context
        from tunesmith.serve.conversation import Conversation
        from tunesmith.serve.released import open_release
        from tunesmith.trust.keys import load_public_pem

        context = new_context(folder, places=options.Places(store=place), progress=progress)
        release = open_release(folder, load_public_pem(key), context=context, threads=threads)
        conversation = Conversation(release, max_new_tokens, temperature, seed)
        if message is not None:
            _answer(conversation, message)
            return
        _talk(conversation)


def _talk(conversation: "Conversation") -> None:
    """Read messages until the end of the input; a message that cannot be answered is told, and the next one is read."""
    from tunesmith.errors import DataError

    shown = sys.stdin.isatty()
    while True:
        if shown:
            sys.stderr.write(PROMPT)
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return
        text = line.strip()
        if text == NEW:
            conversation.forget()
        elif text:
            try:
                _answer(conversation, text)
            except DataError as error:
                talk.say(str(error))


def _answer(conversation: "Conversation", text: str) -> None:
    for piece in conversation.say(text):
        sys.stdout.write(printable(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def printable(text: str) -> str:
    """The text without control characters, which a terminal would obey; line ends, tabs, spaces of any width and joiners stay."""
    return "".join(one for one in text if one in KEPT or one.isprintable() or category(one) == "Zs")
