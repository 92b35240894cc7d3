"""What every artifact shares: immutable, strict, one canonical byte form, one digest."""

import hashlib
import json
from typing import Any, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from tunesmith.errors import IntegrityBroken


class Artifact(BaseModel):
    """An immutable value whose canonical bytes are RFC 8785 JSON; NaN and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_bytes="base64")

    def canonical(self) -> bytes:
        """RFC 8785 bytes of this artifact: same value, same bytes, on every machine."""
        return canonical_bytes(self.model_dump(mode="json", by_alias=True))

    def digest(self) -> str:
        """`sha256:<64 hex>` over the canonical bytes."""
        return digest_of(self.canonical())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an artifact back. Raises IntegrityBroken when the bytes are not one, or come from a newer version."""
        try:
            return cls.model_validate(json.loads(data))
        except (ValidationError, ValueError) as error:
            raise IntegrityBroken(
                f"not a readable {cls.__name__}: {error}",
                hint="it may have been written by a newer version; upgrade, or make it again",
            ) from error


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785 (JCS) bytes of a JSON value. Raises ValueError on NaN and on integers beyond 2^53."""
    return rfc8785.dumps(value)


def digest_of(data: bytes) -> str:
    """`sha256:<64 hex>` of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
