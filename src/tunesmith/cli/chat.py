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
"""Control characters that are printed. The last two are joiners needed by Persian, Indic scripts and emoji."""


def command(
    folder: options.ReleaseFolder,
    *,
    key: options.KeyFile,
    message: Annotated[
        str | None,
        typer.Option("--message", "-m", help="Answer this message and exit.", show_default=False),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Maximum number of tokens per answer.")
    ] = 512,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.0, help="Sampling temperature; 0 is greedy decoding.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed for sampling.")] = 0,
    threads: options.Threads = None,
    store: options.StoreFolder = None,
) -> None:
    """Chat with a verified release in the terminal. One message per line; /new starts a new conversation, Ctrl-D exits.

    The base of an adapter is looked up in --store, or in the nearest `.tunesmith` above the release folder.
    """
    from tunesmith.errors import Misuse

    if not folder.is_dir():
        raise Misuse(
            "release folder not found", where=str(folder), hint="`tunesmith run RECIPE` prints the folder it writes"
        )
    with options.find_base_store(folder, store) as base_store, output.progress(quiet=False) as progress:
        progress.say(f"Verifying and loading {folder}")
        from tunesmith.cli.store_access import new_context
        from tunesmith.serve.chat_session import ChatSession
        from tunesmith.serve.loaded_release import open_release
        from tunesmith.trust.keys import load_public_pem

        context = new_context(folder, locations=options.Locations(store=base_store), progress=progress)
        release = open_release(folder, load_public_pem(key), context=context, threads=threads)
        conversation = ChatSession(release, max_new_tokens, temperature, seed)
        if message is not None:
            _print_answer(conversation, message)
            return
        _chat_loop(conversation)


def _chat_loop(conversation: "ChatSession") -> None:
    """Read messages until end of input. A message that cannot be answered prints its error and the loop continues."""
    from tunesmith.errors import DataError

    is_terminal = sys.stdin.isatty()
    while True:
        if is_terminal:
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
    """Remove control characters, which a terminal would interpret. Newlines, tabs, Unicode spaces and joiners are kept."""
    return "".join(char for char in text if char in KEPT_CHARACTERS or char.isprintable() or category(char) == "Zs")
