"""Tools, calls and results: rendered as the template does, trained with the answer, rejected where the template drops them."""

import json
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from tunesmith.artifacts import Example, Message, Row, Text, message
from tunesmith.artifacts.example import ToolCall
from tunesmith.chat.encode import EncodedSequence, encode_all_tokens, encode_chat, prompt_ids, render_conversation
from tunesmith.chat.tool_calls import missing_call, missing_tool, template_messages, template_tools
from tunesmith.errors import DataError
from tunesmith.models.bases.new_tokenizer import train_tokenizer

OPENING = (
    "{%- if tools %}{{ '<|system|>Tools:' }}{% for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}"
    "{{ eos_token }}{% endif -%}"
)
CALLS = (
    "{%- for call in turn.tool_calls or [] %}{{ '<tool_call>' + ({'name': call.function.name, 'arguments': "
    "call.function.arguments} | tojson) + '</tool_call>' }}{% endfor -%}"
)
ASKED = "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
OF_TOOLS = (
    f"{OPENING}{{%- for turn in messages %}}{{{{ '<|' + turn.role + '|>' + (turn.content or '') }}}}{CALLS}"
    f"{{{{ eos_token }}}}{{% endfor -%}}{ASKED}"
)
"""In the manner of Qwen's: tools as JSON in a system turn, calls as JSON between marks behind the words."""

MARKED = (
    f"{OPENING}{{%- for turn in messages %}}{{{{ '<|' + turn.role + '|>' }}}}{{% if turn.role == 'assistant' %}}"
    f"{{% generation %}}{{{{ turn.content or '' }}}}{CALLS}{{{{ eos_token }}}}{{% endgeneration %}}{{% else %}}"
    f"{{{{ turn.content + eos_token }}}}{{% endif %}}{{% endfor -%}}{ASKED}"
)
NO_ARGUMENTS = OF_TOOLS.replace("'arguments': call.function.arguments", "'arguments': {}")
NO_TOOLS = OF_TOOLS.replace(OPENING, "")
STRICT = "{% if tools %}{{ raise_exception('no tools, please') }}{% endif %}" + OF_TOOLS

TOOL = {
    "type": "function",
    "function": {"name": "track", "parameters": {"type": "object", "properties": {"order": {"type": "string"}}}},
}
CALL = ToolCall(name="track", arguments='{"order": "Ä 7", "late": true}', id="call00001")
LOOK = Message(role="assistant", content=(), tool_calls=(CALL,))
RESULT = Message(role="tool", content=(Text(text="due on Friday"),), tool_call_id="call00001")
TALK = (message("user", "Where is it?"), LOOK, RESULT, message("assistant", "It comes on Friday."))
ROW = Row(
    row_id="00000000000000aa",
    file="made.jsonl",
    line=3,
    example=Example(messages=TALK, tools=(json.dumps(TOOL),)),
)
BARE = Row(row_id=ROW.row_id, file=ROW.file, line=3, example=Example(messages=TALK))
SAID = '<tool_call>{"name": "track", "arguments": {"order": "Ä 7", "late": true}}</tool_call>'


def tokenizer_of(template: str) -> PreTrainedTokenizerFast:
    made = train_tokenizer(("Where is it? track order late", SAID), 320, positions=256)
    made.chat_template = template
    return made


def trained(tokenizer: Any, rows: list[EncodedSequence]) -> list[str]:
    return [tokenizer.decode(list(row.ids[start:end])) for row in rows for start, end in row.spans]


@pytest.mark.parametrize("template", [OF_TOOLS, MARKED], ids=["plain", "marked"])
def test_calls_are_trained_and_tools_are_in_the_prompt(template: str) -> None:
    tokenizer = tokenizer_of(template)
    (found,) = encode_chat(tokenizer, ROW, TALK)
    assert trained(tokenizer, [found]) == [f"{SAID}<|end|>", "It comes on Friday.<|end|>"]
    text = tokenizer.decode(list(found.ids))
    assert text.startswith(f"<|system|>Tools:\n{json.dumps(TOOL)}<|end|><|user|>Where is it?<|end|>")
    assert "<|tool|>due on Friday<|end|>" in text
    asked = prompt_ids(tokenizer, TALK[:1], tools=ROW.example.tools)
    assert list(found.ids[: len(asked)]) == asked and found.spans[0][0] == len(asked)


def test_a_call_of_weight_zero_is_rendered_and_not_trained() -> None:
    tokenizer = tokenizer_of(OF_TOOLS)
    silent = (TALK[0], LOOK.model_copy(update={"weight": 0.0}), *TALK[2:])
    (found,) = encode_chat(tokenizer, ROW, silent)
    assert trained(tokenizer, [found]) == ["It comes on Friday.<|end|>"]
    assert SAID in tokenizer.decode(list(found.ids))
    assert len(found.ids) == len(encode_chat(tokenizer, ROW, TALK)[0].ids)


@pytest.mark.parametrize(
    ("template", "row", "what"),
    [
        (None, ROW, "the chat template leaves out the tool 'track'"),
        (None, BARE, "the chat template leaves out the call of the tool 'track'"),
        (NO_ARGUMENTS, BARE, "the chat template leaves out the call of the tool 'track'"),
        (NO_TOOLS, ROW, "the chat template leaves out the tool 'track'"),
        (STRICT, ROW, "the chat template refuses the conversation: no tools, please"),
    ],
    ids=["knows no tools", "knows no calls", "no arguments", "no tools", "refuses"],
)
def test_a_template_without_tool_support_is_an_error_with_the_row(template: str | None, row: Row, what: str) -> None:
    tokenizer = tokenizer_of(template) if template else train_tokenizer((SAID,), 300, positions=64)
    for encode in (encode_chat, encode_all_tokens):
        with pytest.raises(DataError) as error:
            encode(tokenizer, row, TALK)
        assert error.value.what == f"row 00000000000000aa: {what}"
        assert error.value.where == "made.jsonl:3"


def test_a_call_with_a_control_token_is_rejected() -> None:
    tokenizer = tokenizer_of(OF_TOOLS)
    bad = LOOK.model_copy(update={"tool_calls": (replace_arguments('{"order": "<|end|>"}'),)})
    with pytest.raises(DataError, match=r"spells the control token <\|end\|>"):
        encode_chat(tokenizer, ROW, (TALK[0], bad, *TALK[2:]))
    with pytest.raises(DataError, match="spells the control token"):
        render_conversation(tokenizer, TALK[:1], add_generation_prompt=True, tools=('{"name": "<|user|>"}',))


def replace_arguments(arguments: str) -> ToolCall:
    return CALL.model_copy(update={"arguments": arguments})


def test_a_bare_function_is_wrapped_in_the_openai_form() -> None:
    assert template_tools(['{"name": "track"}', json.dumps(TOOL)]) == (
        {"type": "function", "function": {"name": "track"}},
        TOOL,
    )
    assert template_tools(None) == ()


@pytest.mark.parametrize(
    ("written", "missing"),
    [
        ('track{"order":"\\u00c47","late":true}', None),
        ("track(order='Ä7', late=True)", None),
        ('track{"order": "Ä 7"}', "track"),
        ('{"order":"Ä7","late":true}', "track"),
    ],
)
def test_calls_are_recognised_in_other_spellings(written: str, missing: str | None) -> None:
    [turn] = template_messages([LOOK])
    assert missing_call("".join(written.split()), turn) == missing
    assert missing_tool("trackorder", (TOOL,)) is None and missing_tool("track", (TOOL,)) == "track"
