"""Request bodies of the completion routes: supported fields, fields without effect, and fields that are rejected."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from tunesmith.artifacts import Message, Role, message
from tunesmith.serve.openai.errors import BadRequest

MESSAGE_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}

CHAT_NEUTRAL_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "response_format": (None, {"type": "text"}),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "reasoning_effort": (None, "none"),
    "store": (None, False),
    "web_search_options": (None,),
    "moderation": (None,),
}
"""Values of unsupported chat fields that request nothing; see `SamplingRequest.neutral`."""

PositiveCount = Annotated[StrictInt, Field(ge=1)]
"""A positive count. All types here are strict: a string or `true` is not a number, a number or string is not a boolean."""

Temperature = Annotated[StrictFloat, Field(ge=0, le=2, allow_inf_nan=False)]
TopP = Annotated[StrictFloat, Field(gt=0, le=1, allow_inf_nan=False)]
Seed = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Stop = StrictStr | Annotated[tuple[StrictStr, ...], Field(max_length=4)]


class ChatContentPart(BaseModel):
    """One part of a message's content."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """A message of a request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    content: str | tuple[ChatContentPart, ...] | None = None


class StreamOptions(BaseModel):
    """Options of a streamed response."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    include_usage: StrictBool = False


class SamplingRequest(BaseModel):
    """Fields shared by all requests for generated text. The default temperature is 0, as in the evaluation. Unknown fields are
    rejected.

    `neutral` maps each field that this server does not support to the values that request nothing; other values are rejected.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    neutral: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    model: str
    max_tokens: PositiveCount | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed | None = None
    stop: Stop | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """The stop strings, at most four."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    def check(self) -> None:
        """Raises BadRequest for any setting that the server would have to ignore."""
        for name, neutral in self.neutral.items():
            if (value := getattr(self, name)) not in neutral:
                what = f"`{name}` = {value!r} is not supported by this server"
                raise BadRequest(what, param=name, code="unsupported_value")
        if any(not text for text in self.stop_strings):
            raise BadRequest("a stop string must not be empty", param="stop")
        if self.stream_options is not None and not self.stream:
            raise BadRequest("`stream_options` needs `stream`: true", param="stream_options")


class ChatRequest(SamplingRequest):
    """A chat request. Fields such as `user` and `metadata` are accepted because they have no effect on the answer."""

    neutral = CHAT_NEUTRAL_VALUES

    messages: tuple[ChatMessage, ...] = Field(min_length=1)
    max_completion_tokens: PositiveCount | None = None

    n: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    response_format: Any = None
    tools: Any = None
    tool_choice: Any = None
    functions: Any = None
    function_call: Any = None
    logit_bias: Any = None
    presence_penalty: Any = None
    frequency_penalty: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    reasoning_effort: Any = None
    store: Any = None
    web_search_options: Any = None
    moderation: Any = None

    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    parallel_tool_calls: StrictBool | None = None
    service_tier: Literal["auto", "default"] | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens to generate; the newer of the two field names takes precedence."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    def conversation(self) -> tuple[Message, ...]:
        """The messages as Tunesmith's. Raises BadRequest for unsupported roles and content parts."""
        return tuple(_to_message(index, turn) for index, turn in enumerate(self.messages))


def _to_message(index: int, turn: ChatMessage) -> Message:
    param = f"messages.{index}"
    if turn.role not in MESSAGE_ROLES:
        roles = ", ".join(MESSAGE_ROLES)
        raise BadRequest(f"the role {turn.role!r} is not supported; use one of {roles}", param=f"{param}.role")
    if turn.content is None:
        raise BadRequest("a message must have content", param=f"{param}.content")
    if isinstance(turn.content, str):
        return message(MESSAGE_ROLES[turn.role], turn.content)
    unsupported = [part.type for part in turn.content if part.type != "text" or part.text is None]
    if unsupported:
        raise BadRequest(f"content of type {unsupported[0]!r} is not supported; send text", param=f"{param}.content")
    return message(MESSAGE_ROLES[turn.role], "".join(part.text or "" for part in turn.content))
