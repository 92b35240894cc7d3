"""The request of POST /v1/chat/completions: what is carried out, what makes no difference here, what is refused."""

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
"""Of a chat request; see `SampledRequest`."""

PositiveCount = Annotated[StrictInt, Field(ge=1)]
"""How many of something. As everywhere here a text or true is no number, and a number or a text is not true: what was meant is
not guessed."""

Temperature = Annotated[StrictFloat, Field(ge=0, le=2, allow_inf_nan=False)]
TopP = Annotated[StrictFloat, Field(gt=0, le=1, allow_inf_nan=False)]
Seed = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Stop = StrictStr | Annotated[tuple[StrictStr, ...], Field(max_length=4)]


class ChatContentPart(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """A message as the wire has it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    content: str | tuple[ChatContentPart, ...] | None = None


class StreamOptions(BaseModel):
    """What a stream carries besides the text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    include_usage: StrictBool = False


class SamplingRequest(BaseModel):
    """What requests for written text have in common. Temperature is 0 when left out: the answer is then the one that was
    evaluated. Unknown fields are refused.

    `neutral`: settings that this server cannot carry out, with the values that ask for nothing; another value is refused.
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
        """At most four."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    def check(self) -> None:
        """Raises BadRequest for anything that would have to be ignored."""
        for name, neutral in self.neutral.items():
            if (value := getattr(self, name)) not in neutral:
                said = f"`{name}` = {value!r} is not supported by this server"
                raise BadRequest(said, param=name, code="unsupported_value")
        if any(not text for text in self.stop_strings):
            raise BadRequest("a stop string must not be empty", param="stop")
        if self.stream_options is not None and not self.stream:
            raise BadRequest("`stream_options` needs `stream`: true", param="stream_options")


class ChatRequest(SamplingRequest):
    """`user`, `metadata` and their like are accepted because they ask for nothing."""

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
        """Most tokens to write; of the two spellings the newer one counts."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    def conversation(self) -> tuple[Message, ...]:
        """The messages as ours. Raises BadRequest for roles and parts the model cannot be given."""
        return tuple(_to_message(place, turn) for place, turn in enumerate(self.messages))


def _to_message(place: int, turn: ChatMessage) -> Message:
    param = f"messages.{place}"
    if turn.role not in MESSAGE_ROLES:
        roles = ", ".join(MESSAGE_ROLES)
        raise BadRequest(f"the role {turn.role!r} is not supported; use one of {roles}", param=f"{param}.role")
    if turn.content is None:
        raise BadRequest("a message needs content", param=f"{param}.content")
    if isinstance(turn.content, str):
        return message(MESSAGE_ROLES[turn.role], turn.content)
    strange = [part.type for part in turn.content if part.type != "text" or part.text is None]
    if strange:
        raise BadRequest(f"content of type {strange[0]!r} is not supported; send text", param=f"{param}.content")
    return message(MESSAGE_ROLES[turn.role], "".join(part.text or "" for part in turn.content))
