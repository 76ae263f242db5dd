"""Tasks: claim, renew, draft, submit, skip, reopen, judge."""

import datetime as dt
import uuid
from typing import Annotated, Literal

import numpy as np
from fastapi import Path, Query, Request, Response, status
from pydantic import StringConstraints
from sqlalchemy.orm import Session

from backend.api import masks
from backend.api.deps import (
    Cursor,
    Limit,
    PrincipalDep,
    Revision,
    SessionDep,
    SettingsDep,
    etag,
)
from backend.api.projects import Key
from backend.api.routing import guarded
from backend.domain.masks import unpack
from backend.domain.states import Role, TaskKind, TaskState
from backend.models import Project, Task, Tile
from backend.schemas.base import Page
from backend.schemas.task import (
    AnnotationView,
    ClaimView,
    CommentView,
    DraftView,
    NewClaim,
    Skip,
    TaskView,
    Verdict,
)
from backend.services import (
    access,
    annotations,
    annotationviews,
    comments,
    drafts,
    pages,
    tasks,
    taskviews,
)
from backend.services.access import Principal
from backend.services.annotations import Painted

router = guarded("tasks")
TaskId = Annotated[uuid.UUID, Path(alias="task")]
Flag = Annotated[
    Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
    ]
    | None,
    Query(
        description="What others should look at; kept as a comment on the revision.",
        examples=["unsure of the membrane at the left"],
    ),
]
Form = Annotated[Literal["raw", "png"], Query(description="Raw bytes or index PNG.")]


@router.post("/projects/{project}/claims")
def claim(
    project: Key,
    body: NewClaim,
    session: SessionDep,
    principal: PrincipalDep,
    settings: SettingsDep,
) -> ClaimView:
    """Claim the next tile, or the current and the next; every tab gets the same."""
    role = Role.REVIEWER if body.kind is TaskKind.REVIEW else Role.ANNOTATOR
    row = access.project(session, principal, project, role)
    held = tasks.claim(
        session,
        principal,
        row,
        kind=body.kind,
        count=body.count,
        lease=dt.timedelta(seconds=settings.lease_seconds),
    )
    why = None
    if len(held) < body.count:
        why = taskviews.why_empty(session, row, body.kind)
    return ClaimView(tasks=taskviews.views(session, held), why_fewer=why)


@router.get("/projects/{project}/tasks")
def list_tasks(
    project: Key,
    session: SessionDep,
    principal: PrincipalDep,
    state: TaskState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[TaskView]:
    """List a project's tasks, newest first."""
    row = access.project(session, principal, project, Role.REVIEWER)
    found, following = pages.page(
        session, tasks.listed(row, state), Task, cursor, limit
    )
    return Page(items=taskviews.views(session, found), next=following)


@router.get("/tasks/{task}")
def get_task(task_id: TaskId, session: SessionDep, principal: PrincipalDep) -> TaskView:
    """Return one task."""
    return taskviews.view(session, _load(session, principal, task_id))


@router.post("/tasks/{task}/renew")
def renew(
    task_id: TaskId,
    session: SessionDep,
    principal: PrincipalDep,
    settings: SettingsDep,
) -> TaskView:
    """Prolong your lease."""
    task = _load(session, principal, task_id, lock=True)
    lease = dt.timedelta(seconds=settings.lease_seconds)
    return taskviews.view(session, tasks.renew(session, principal, task, lease))


@router.post("/tasks/{task}/release")
def release(task_id: TaskId, session: SessionDep, principal: PrincipalDep) -> TaskView:
    """Give the task back to the queue."""
    task = _load(session, principal, task_id, lock=True)
    return taskviews.view(session, tasks.release(session, principal, task))


@router.post("/tasks/{task}/skip")
def skip(
    task_id: TaskId, body: Skip, session: SessionDep, principal: PrincipalDep
) -> TaskView:
    """Set the task aside with a reason; a review can only be released or judged."""
    task = _load(session, principal, task_id, lock=True)
    return taskviews.view(session, tasks.skip(session, principal, task, body.reason))


@router.post("/tasks/{task}/reopen")
def reopen(task_id: TaskId, session: SessionDep, principal: PrincipalDep) -> TaskView:
    """Send a finished task back to its author."""
    task = _load(session, principal, task_id, lock=True)
    return taskviews.view(session, tasks.reopen(session, principal, task))


@router.post("/tasks/{task}/verdict")
def judge(
    task_id: TaskId, body: Verdict, session: SessionDep, principal: PrincipalDep
) -> TaskView:
    """Accept the annotation under review, or send it back with comments."""
    review = _load(session, principal, task_id, Role.REVIEWER, lock=True)
    annotations.judge(
        session,
        principal,
        review,
        accepted=body.accept,
        comment=body.comment,
        pins=body.pins,
    )
    return taskviews.view(session, review)


@router.get("/tasks/{task}/comments")
def list_task_comments(
    task_id: TaskId, session: SessionDep, principal: PrincipalDep
) -> list[CommentView]:
    """List what was said of the task's tile, oldest first."""
    task = _load(session, principal, task_id, Role.VIEWER)
    return comments.on_task(session, principal, task)


@router.get("/tasks/{task}/mask")
def starting_mask(
    task_id: TaskId,
    session: SessionDep,
    principal: PrincipalDep,
    form: Form = "raw",
) -> Response:
    """Return what a new revision starts from: your last one, another's, or zeros.

    Of a review this is the revision under review.

    `X-Complete-For` names the labels it is complete for.
    """
    task = _load(session, principal, task_id)
    tile = session.get_one(Tile, task.tile_id)
    start = drafts.start(session, principal, task)
    shape = tile.h, tile.w
    if start is None or start.raster is None:
        empty = np.zeros(shape, np.uint8)
        return masks.answer(empty, form, {"X-Complete-For": ""})
    labels = ",".join(str(value) for value in start.complete_for)
    return masks.answer(unpack(start.raster, shape), form, {"X-Complete-For": labels})


@router.get("/tasks/{task}/draft")
def get_draft(
    task_id: TaskId,
    session: SessionDep,
    principal: PrincipalDep,
    form: Form = "raw",
) -> Response:
    """Return your unsent work; 204 if there is none (its ETag is then "0")."""
    task = _load(session, principal, task_id)
    draft = drafts.of(session, principal, task)
    if draft is None:
        return Response(status_code=204, headers={"ETag": etag(0)})
    tile = session.get_one(Tile, task.tile_id)
    headers = {
        "ETag": etag(draft.version),
        "X-Complete-For": ",".join(str(value) for value in draft.complete_for),
        "X-Active-Seconds": str(draft.active_seconds),
    }
    return masks.answer(unpack(draft.raster, (tile.h, tile.w)), form, headers)


@router.put("/tasks/{task}/draft", openapi_extra=masks.BODY)
def save_draft(
    task_id: TaskId,
    request: Request,
    body: masks.MaskBody,
    revision: Revision,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
    complete_for: masks.CompleteFor = "",
    active_seconds: masks.ActiveSeconds = None,
) -> DraftView:
    """Keep unsent work; If-Match names the draft it is based on, "0" for the first."""
    task = _load(session, principal, task_id)
    painted = _painted(session, task, request, body, complete_for, active_seconds)
    draft = drafts.save(session, principal, task, painted, revision)
    response.headers["ETag"] = etag(draft.version)
    return DraftView.model_validate(draft)


@router.post(
    "/tasks/{task}/annotations",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=masks.BODY,
    responses={
        202: {"description": "Kept as a late revision", "model": AnnotationView}
    },
)
def submit(
    task_id: TaskId,
    request: Request,
    body: masks.MaskBody,
    session: SessionDep,
    principal: PrincipalDep,
    response: Response,
    complete_for: masks.AskedFor = None,
    active_seconds: masks.ActiveSeconds = None,
    prediction_id: uuid.UUID | None = None,
    flag: Flag = None,
) -> AnnotationView:
    """Submit the tile's mask: raw uint8, index PNG or COCO RLE.

    201 under a live lease, 202 when it is kept as a late revision.
    """
    task = _load(session, principal, task_id, lock=True)
    painted = _painted(
        session, task, request, body, complete_for, active_seconds, prediction_id
    )
    row = annotations.submit(session, principal, task, painted, flag=flag)
    response.headers["Location"] = f"/api/v1/annotations/{row.id}"
    if row.late:
        response.status_code = status.HTTP_202_ACCEPTED
    return annotationviews.view(session, row)


def _load(
    session: Session,
    principal: Principal,
    task_id: uuid.UUID,
    role: Role = Role.ANNOTATOR,
    *,
    lock: bool = False,
) -> Task:
    return access.load(session, principal, Task, task_id, role, lock=lock)


def _painted(
    session: Session,
    task: Task,
    request: Request,
    body: bytes,
    complete_for: str | None,
    active_seconds: float | None,
    prediction_id: uuid.UUID | None = None,
) -> Painted:
    tile = session.get_one(Tile, task.tile_id)
    if complete_for is None:
        complete = annotations.asked(session, task)
    else:
        values = session.get_one(Project, task.project_id).schema.values
        complete = masks.complete_for(complete_for, values)
    return Painted(
        mask=masks.decode(body, request.headers.get("content-type"), (tile.h, tile.w)),
        complete_for=complete,
        active_seconds=active_seconds,
        prediction_id=prediction_id,
    )
