"""The error tree. A message says what happened and where; `hint` says what to do next.

TunesmithError            exit 1    HTTP 500   a fault of ours
|- Misuse                 exit 2    HTTP 400   the request cannot be carried out as written
|  |- RecipeError         exit 2    HTTP 422   the recipe file
|  '- DataError           exit 2    HTTP 422   a data file or a row of it
|- Refused                exit 3    HTTP 409   an audit rule or the gate said no
|- IntegrityBroken        exit 4    HTTP 409   bytes are not what their evidence says
|- MachineFailure         exit 5    HTTP 503   disk full, backend gone
|  |- StoreLocked         exit 5    HTTP 503   another run holds the store
|  '- PeerFailed          exit 5    HTTP 503   another rank of the run failed first and says why
'- Interrupted            exit 130  HTTP 503   stopped by a signal
"""

from typing import ClassVar


class TunesmithError(Exception):
    """Root of the tree. `where` names a file, line, row or setting; `hint` is one sentence."""

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
    """The request cannot be carried out as written."""

    exit_code = 2
    http_status = 400


class RecipeError(Misuse):
    """The recipe file is missing, malformed or asks for something that does not exist."""

    http_status = 422


class DataError(Misuse):
    """A data file, or one row of it, cannot be used."""

    http_status = 422


class Refused(TunesmithError):
    """An audit rule or the gate said no; an inconclusive verdict counts as no."""

    exit_code = 3
    http_status = 409


class IntegrityBroken(TunesmithError):
    """Bytes are not what their digest or signature says."""

    exit_code = 4
    http_status = 409


class MachineFailure(TunesmithError):
    """The machine cannot go on: disk full, backend gone."""

    exit_code = 5
    http_status = 503


class StoreLocked(MachineFailure):
    """Another run holds the store; the message names it."""


class PeerFailed(MachineFailure):
    """Another rank failed first, and its own message says why; a face prints nothing for this one."""


class Interrupted(TunesmithError):
    """Stopped by a signal; what was finished stays finished."""

    exit_code = 130
    http_status = 503
