"""Base class of artifacts: immutable, strict, with canonical bytes and a digest."""

import hashlib
import json
from typing import Any, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.errors import IntegrityBroken


class Artifact(BaseModel):
    """An immutable value with canonical bytes in RFC 8785 JSON; NaN and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_bytes="base64")

    def canonical(self) -> bytes:
        """RFC 8785 bytes of this artifact; equal values have equal bytes on every machine."""
        return canonical_bytes(self.model_dump(mode="json", by_alias=True))

    def digest(self) -> str:
        """`sha256:<64 hex digits>` of the canonical bytes."""
        return digest_of(self.canonical())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Load an artifact. Raises IntegrityBroken when the bytes are not one, or come from a newer version."""
        try:
            return cls.model_validate(json.loads(data))
        except (ValidationError, ValueError) as error:
            raise IntegrityBroken(
                f"cannot read this {cls.__name__}: {error}",
                hint="it may come from a newer version: upgrade tunesmith, or run the stage again",
            ) from error


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785 (JCS) bytes of a JSON value. Raises ValueError for NaN and for integers beyond 2^53."""
    return rfc8785.dumps(value)


def digest_of(data: bytes) -> str:
    """`sha256:<64 hex digits>` of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
