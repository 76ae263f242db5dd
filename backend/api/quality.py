"""Quality of people's work: gold tiles, feedback on them, agreement."""

from typing import Annotated

from fastapi import Query, Request, Response, status
from sqlalchemy.orm import Session

from backend.api import masks
from backend.api.annotations import AnnotationId
from backend.api.deps import Cursor, Limit, PrincipalDep, SessionDep, StoreDep
from backend.api.projects import Key
from backend.api.routing import guarded
from backend.api.tasks import TaskId
from backend.domain.agreement import Hint
from backend.domain.states import Role
from backend.models import Annotation, GoldTile, Project, Task, Tile
from backend.schemas.agreement import (
    AgreementView,
    FeedbackView,
    GoldView,
    HintView,
    PracticeView,
    ScoreView,
)
from backend.schemas.base import Page
from backend.services import access, agreement, checks, pages, taskviews
from backend.services.checks import Comparison

router = guarded("quality")


@router.put("/annotations/{annotation}/gold")
def make_gold(
    annotation_id: AnnotationId,
    session: SessionDep,
    principal: PrincipalDep,
    practice: Annotated[
        bool, Query(description="To practise on with the truth at hand.")
    ] = False,
) -> GoldView:
    """Take an accepted annotation as the truth of its tile, to measure people by."""
    row = access.load(session, principal, Annotation, annotation_id, Role.REVIEWER)
    made = checks.make_gold(session, principal, row, practice=practice)
    return _gold(session, made)


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
    return Page(items=[_gold(session, each) for each in found], next=following)


@router.get("/tasks/{task}/feedback")
def get_feedback(
    task_id: TaskId, session: SessionDep, principal: PrincipalDep
) -> FeedbackView:
    """Return how a submitted task compares with the truth, if it was a gold tile.

    Whether annotators may read it is a setting of the project.
    """
    task = access.load(session, principal, Task, task_id, Role.ANNOTATOR)
    found = checks.feedback(session, principal, task)
    if found is None:
        return FeedbackView(hints=[], scores=[], annotation_id=None)
    return _feedback(session.get_one(Project, task.project_id), found)


@router.get("/projects/{project}/practice")
def list_practice(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PracticeView]:
    """List the tiles to practise on."""
    row = access.project(session, principal, project, Role.ANNOTATOR)
    found, following = pages.page(
        session, checks.practice(row), GoldTile, cursor, limit
    )
    return Page(items=[_practice(session, gold) for gold in found], next=following)


@router.post("/annotations/{annotation}/practice", openapi_extra=masks.BODY)
def score_practice(
    annotation_id: AnnotationId,
    request: Request,
    body: masks.MaskBody,
    session: SessionDep,
    principal: PrincipalDep,
) -> FeedbackView:
    """Compare a mask with the truth of a practice tile; nothing of it is kept."""
    row = access.load(session, principal, Annotation, annotation_id, Role.ANNOTATOR)
    shape = checks.shape(session, row)
    mask = masks.decode(body, request.headers.get("content-type"), shape)
    found = checks.score(session, row, mask)
    return _feedback(session.get_one(Project, row.project_id), found)


@router.get("/projects/{project}/agreement")
def get_agreement(
    project: Key, session: SessionDep, principal: PrincipalDep, store: StoreDep
) -> AgreementView:
    """Return how far people agree with each other, with gold and with pre-labels."""
    row = access.project(session, principal, project, Role.REVIEWER)
    return agreement.view(session, row, store)


def _gold(session: Session, row: GoldTile) -> GoldView:
    return GoldView(
        tile_id=row.tile_id,
        tile=taskviews.tile_view(session.get_one(Tile, row.tile_id)),
        annotation_id=row.annotation_id,
        made_by=row.made_by,
        practice=row.practice,
        created_at=row.created_at,
    )


def _practice(session: Session, gold: GoldTile) -> PracticeView:
    truth = session.get_one(Annotation, gold.annotation_id)
    return PracticeView(
        annotation_id=truth.id,
        tile=taskviews.tile_view(session.get_one(Tile, gold.tile_id)),
        complete_for=truth.complete_for,
    )


def _feedback(project: Project, found: Comparison) -> FeedbackView:
    names = {label.value: label.name for label in project.labels}
    return FeedbackView(
        hints=[_view(hint, names[hint.value]) for hint in found.hints],
        scores=[
            ScoreView(
                label=names[value],
                dice=counts.dice,
                missed=counts.fn,
                invented=counts.fp,
            )
            for value, counts in found.counts.items()
        ],
        annotation_id=found.annotation_id,
    )


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
