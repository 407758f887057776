"""Why a job waits, is slow or has stopped: a code for programs, a text for people. Nothing reads the text."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypedDict


class Code(StrEnum):
    """What kind of a reason it is; "" is none."""

    NONE = ""
    # It waits
    IN_LINE = "in_line"
    NO_WORKER = "no_worker"
    BROKER_AWAY = "broker_away"
    OWN_JOBS = "own_jobs"  # of the same owner, who may not have the last process too
    OTHER_JOBS = "other_jobs"
    NEXT_ATTEMPT = "next_attempt"
    THROTTLED = "throttled"  # the service asks to wait
    # Somebody died, or may have
    WORKER_SILENT = "worker_silent"
    RETURNED = "returned"
    # It could be faster
    SLOW_ITEMS = "slow_items"
    RATE_LIMIT = "rate_limit"
    # It was stopped
    PERSON = "person"
    FAILURE_LIMIT = "failure_limit"
    NO_ROOM = "no_room"
    CANNOT_RUN = "cannot_run"
    UNREADABLE = "unreadable"  # its file

    @classmethod
    def _missing_(cls, value: object) -> Code:
        """What another version knows is none here; the text still says it."""
        return cls.NONE


class ReasonFrame(TypedDict):
    """A reason as frames carry it."""

    code: str
    text: str


class Reason(NamedTuple):
    """`code` decides, `text` is shown. One without a code is none, and false."""

    code: Code = Code.NONE
    text: str = ""

    def __bool__(self) -> bool:
        return self.code != Code.NONE

    def frame(self) -> ReasonFrame:
        return {"code": str(self.code), "text": self.text}


NO_REASON = Reason()
