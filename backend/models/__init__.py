"""The tables, one aggregate per file."""

from backend.models.base import Base
from backend.models.comment import Comment
from backend.models.example import Example
from backend.models.gold import GoldTile
from backend.models.image import Artifact, Image, Tile
from backend.models.job import Job, Policy, PolicyFiring
from backend.models.model import (
    Evaluation,
    ModelVersion,
    Prediction,
    TrainingSet,
    TrainingSetItem,
)
from backend.models.project import Label, Project
from backend.models.task import Annotation, Draft, Query, QueryTile, Task, TaskHolder
from backend.models.upload import ResumableUpload
from backend.models.user import (
    AuditEntry,
    IdempotencyKey,
    Link,
    Membership,
    Session,
    Token,
    User,
)

__all__ = [
    "Annotation",
    "Artifact",
    "AuditEntry",
    "Base",
    "Comment",
    "Draft",
    "Evaluation",
    "Example",
    "GoldTile",
    "IdempotencyKey",
    "Image",
    "Job",
    "Label",
    "Link",
    "Membership",
    "ModelVersion",
    "Policy",
    "PolicyFiring",
    "Prediction",
    "Project",
    "Query",
    "QueryTile",
    "ResumableUpload",
    "Session",
    "Task",
    "TaskHolder",
    "Tile",
    "Token",
    "TrainingSet",
    "TrainingSetItem",
    "User",
]
