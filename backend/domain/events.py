"""Events: hints that something changed; they say what to fetch again."""

from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """What kind of object changed."""

    PROJECT = "project"
    IMAGE = "image"
    TASK = "task"
    ANNOTATION = "annotation"
    JOB = "job"
    MODEL = "model"
    QUERY = "query"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Event:
    """`object_id` of this kind has changed to `state`; fetch it to know more."""

    kind: EventKind
    object_id: str
    state: str
