"""Tool calls, tools and their results as a chat template is given them, and whether it wrote them.

A template that knows nothing of tools leaves calls out and says nothing: the model would learn to answer with silence.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tunesmith.artifacts import Message
from tunesmith.chat.templates import TemplateMessage, ToolDefinitions
from tunesmith.text.reasoning import REASONING_FIELDS

PYTHON_LITERALS: Final = {"true": "True", "false": "False", "null": "None"}


def template_messages(messages: Sequence[Message]) -> list[TemplateMessage]:
    """Messages as the template is given them; arguments of calls as objects, as transformers documents it.

    A turn that only calls has no text: transformers makes that of a content of None too.
    """
    return [_template_message(one) for one in messages]


def template_tools(definitions: Sequence[str] | None) -> ToolDefinitions:
    """Tool definitions as the template is given them: OpenAI's form, also where a file has the function alone."""
    tools = [json.loads(text) for text in definitions or ()]
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in tools)


def template_texts(turns: Sequence[TemplateMessage], tools: ToolDefinitions) -> Iterator[str]:
    """Every text that a template is given: words, names and values, which may spell no control token."""
    for turn in turns:
        yield turn["content"]
        yield turn.get(REASONING_FIELDS[0], "")
        yield from (text for call in turn.get("tool_calls", ()) for text in _json_leaves(call))
    yield from (text for tool in tools for text in _json_leaves(tool))


def missing_call(bare: str, turn: TemplateMessage) -> str | None:
    """The name of a call that is not written whole, name and arguments, in a text without white space; None when all are."""
    for call in turn.get("tool_calls", ()):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        if not all(_contains_value(bare, leaf) for leaf in (name, *_json_leaves(arguments))):
            return str(name)
    return None


def missing_tool(bare: str, tools: ToolDefinitions) -> str | None:
    """The name of a tool whose name or parameters are not written in a text without white space; None when all are."""
    for tool in tools:
        function = tool["function"]
        parameters = function.get("parameters") or {}
        names = parameters.get("properties") or {} if isinstance(parameters, dict) else {}
        if not all(_contains_value(bare, str(name)) for name in (function.get("name", ""), *names)):
            return str(function.get("name"))
    return None


def _template_message(one: Message) -> TemplateMessage:
    made: TemplateMessage = {"role": one.role, "content": one.text}
    if one.tool_calls:
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in one.tool_calls
        ]
    if one.role == "tool":
        made |= {key: value for key in ("tool_call_id", "name") if (value := getattr(one, key)) is not None}
    return made


def _json_leaves(value: Any) -> Iterator[str]:
    """Keys and values of a JSON value, as texts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _json_leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _json_leaves(inner)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def _contains_value(bare: str, leaf: str) -> bool:
    """Whether a name or a value stands in a text without white space: as it is, as JSON, or as Python writes it."""
    forms = (leaf, json.dumps(leaf, ensure_ascii=False)[1:-1], json.dumps(leaf)[1:-1], PYTHON_LITERALS.get(leaf, leaf))
    return any("".join(form.split()) in bare for form in forms)
