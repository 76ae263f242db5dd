"""Quality of people's work: gold tiles, feedback on them, agreement."""

from fastapi import Response, status

from backend.api.annotations import AnnotationId
from backend.api.deps import Cursor, Limit, PrincipalDep, SessionDep, StoreDep
from backend.api.projects import Key
from backend.api.routing import guarded
from backend.api.tasks import TaskId
from backend.domain.agreement import Hint
from backend.domain.states import Role
from backend.models import Annotation, GoldTile, Project, Task
from backend.schemas.agreement import (
    AgreementView,
    FeedbackView,
    GoldView,
    HintView,
)
from backend.schemas.base import Page
from backend.services import access, agreement, checks, pages

router = guarded("quality")


@router.put("/annotations/{annotation}/gold")
def make_gold(
    annotation_id: AnnotationId, session: SessionDep, principal: PrincipalDep
) -> GoldView:
    """Take an accepted annotation as the truth of its tile, to measure people by."""
    row = access.load(session, principal, Annotation, annotation_id, Role.REVIEWER)
    return GoldView.model_validate(checks.make_gold(session, principal, row))


@router.delete("/annotations/{annotation}/gold", status_code=status.HTTP_204_NO_CONTENT)
def end_gold(
    annotation_id: AnnotationId, session: SessionDep, principal: PrincipalDep
) -> Response:
    """Take it for the truth no longer."""
    row = access.load(session, principal, Annotation, annotation_id, Role.REVIEWER)
    checks.end_gold(session, principal, row)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.get("/projects/{project}/gold")
def list_gold(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[GoldView]:
    """List a project's gold tiles, newest first."""
    row = access.project(session, principal, project, Role.REVIEWER)
    found, following = pages.page(session, checks.listed(row), GoldTile, cursor, limit)
    return Page(items=[GoldView.model_validate(g) for g in found], next=following)


@router.get("/tasks/{task}/feedback")
def get_feedback(
    task_id: TaskId, session: SessionDep, principal: PrincipalDep
) -> FeedbackView:
    """Return at most three hints on a submitted task, if it was a gold tile."""
    task = access.load(session, principal, Task, task_id, Role.ANNOTATOR)
    found = checks.feedback(session, principal, task)
    project = session.get_one(Project, task.project_id)
    names = {label.value: label.name for label in project.labels}
    return FeedbackView(hints=[_view(hint, names[hint.value]) for hint in found])


@router.get("/projects/{project}/agreement")
def get_agreement(
    project: Key, session: SessionDep, principal: PrincipalDep, store: StoreDep
) -> AgreementView:
    """Return how far people agree with each other, with gold and with pre-labels."""
    row = access.project(session, principal, project, Role.REVIEWER)
    return agreement.view(session, row, store)


def _view(hint: Hint, label: str) -> HintView:
    if hint.missed:
        what = f"you missed {hint.pixels} of {hint.counts.truth} pixels"
    else:
        what = f"{hint.pixels} pixels that you painted are none of it"
    return HintView(
        label=label,
        dice=hint.counts.dice,
        missed=hint.counts.fn,
        invented=hint.counts.fp,
        y=hint.y,
        x=hint.x,
        text=f"{label}: {what}, most around x {hint.x}, y {hint.y}.",
    )
