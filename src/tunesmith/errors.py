"""Error classes. A message says what happened and where; `hint` says how to fix it.

TunesmithError            exit 1    HTTP 500   internal error
|- Misuse                 exit 2    HTTP 400   invalid request
|  |- RecipeError         exit 2    HTTP 422   invalid recipe file
|  '- DataError           exit 2    HTTP 422   invalid data file or row
|- Refused                exit 3    HTTP 409   refused by an audit rule or the gate
|- IntegrityBroken        exit 4    HTTP 409   bytes do not match their digest or signature
|- MachineFailure         exit 5    HTTP 503   disk full, backend unavailable
|  |- StoreLocked         exit 5    HTTP 503   the store is locked by another run
|  '- PeerFailed          exit 5    HTTP 503   another rank failed first and reports why
'- Interrupted            exit 130  HTTP 503   stopped by a signal
"""

from typing import ClassVar


class TunesmithError(Exception):
    """Base class. `where` names a file, line, row or setting; `hint` is one sentence."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        Exception.__init__(self, what, where, hint)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\nhint: {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"


class Misuse(TunesmithError):
    """The request is invalid."""

    exit_code = 2
    http_status = 400


class RecipeError(Misuse):
    """The recipe file is missing, malformed or refers to something that does not exist."""

    http_status = 422


class DataError(Misuse):
    """A data file or one of its rows cannot be used."""

    http_status = 422


class Refused(TunesmithError):
    """An audit rule or the gate refused. An inconclusive verdict counts as a refusal."""

    exit_code = 3
    http_status = 409


class IntegrityBroken(TunesmithError):
    """Bytes do not match their digest or signature."""

    exit_code = 4
    http_status = 409


class MachineFailure(TunesmithError):
    """The machine cannot continue: disk full, backend unavailable."""

    exit_code = 5
    http_status = 503


class StoreLocked(MachineFailure):
    """The store is locked by another run, which the message names."""


class PeerFailed(MachineFailure):
    """Another rank failed first and reports why, so nothing is printed for this error."""


class Interrupted(TunesmithError):
    """Stopped by a signal. Finished stages are kept."""

    exit_code = 130
    http_status = 503
