"""`tunesmith chat FOLDER --key PUB`."""

import sys
from typing import TYPE_CHECKING, Annotated
from unicodedata import category

import typer

from tunesmith.cli import options, output

if TYPE_CHECKING:
    from tunesmith.serve.chat_session import ChatSession

NEW_CONVERSATION_COMMAND = "/new"
PROMPT = "> "
KEPT_CHARACTERS = "\n\t\u200c\u200d"
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
    with options.find_base_store(folder, store) as place, output.progress(quiet=False) as progress:
        progress.say(f"verifying and loading {folder}")
        from tunesmith.cli.store_access import new_context
        from tunesmith.serve.chat_session import ChatSession
        from tunesmith.serve.loaded_release import open_release
        from tunesmith.trust.keys import load_public_pem

        context = new_context(folder, places=options.Locations(store=place), progress=progress)
        release = open_release(folder, load_public_pem(key), context=context, threads=threads)
        conversation = ChatSession(release, max_new_tokens, temperature, seed)
        if message is not None:
            _print_answer(conversation, message)
            return
        _chat_loop(conversation)


def _chat_loop(conversation: "ChatSession") -> None:
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
        if text == NEW_CONVERSATION_COMMAND:
            conversation.forget()
        elif text:
            try:
                _print_answer(conversation, text)
            except DataError as error:
                output.write_message(str(error))


def _print_answer(conversation: "ChatSession", text: str) -> None:
    for piece in conversation.say(text):
        sys.stdout.write(strip_control_characters(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def strip_control_characters(text: str) -> str:
    """The text without control characters, which a terminal would obey; line ends, tabs, spaces of any width and joiners stay."""
    return "".join(one for one in text if one in KEPT_CHARACTERS or one.isprintable() or category(one) == "Zs")
