"""Comments on revisions: reading, writing and resolving them."""

import uuid
from typing import Annotated

from fastapi import Path, status

from backend.api.annotations import AnnotationId
from backend.api.deps import PrincipalDep, SessionDep
from backend.api.routing import guarded
from backend.domain.states import Role
from backend.models import Annotation, Comment
from backend.schemas.task import CommentView, NewComment
from backend.services import access, comments
from backend.services.comments import Remark

router = guarded("comments")
CommentId = Annotated[uuid.UUID, Path(alias="comment")]


@router.get("/annotations/{annotation}/comments")
def list_comments(
    annotation_id: AnnotationId, session: SessionDep, principal: PrincipalDep
) -> list[CommentView]:
    """List what was said of one revision, oldest first."""
    row = access.load(session, principal, Annotation, annotation_id, Role.VIEWER)
    return comments.views(session, Comment.annotation_id == row.id)


@router.post("/annotations/{annotation}/comments", status_code=status.HTTP_201_CREATED)
def comment(
    annotation_id: AnnotationId,
    body: NewComment,
    session: SessionDep,
    principal: PrincipalDep,
) -> CommentView:
    """Comment on a revision, at a pixel or on all of it (reviewers and its author)."""
    row = access.load(session, principal, Annotation, annotation_id, Role.ANNOTATOR)
    remark = Remark(body.text, body.y, body.x)
    made = comments.write(session, principal, row, remark)
    return comments.views(session, Comment.id == made.id)[0]


@router.post("/comments/{comment}/resolve")
def resolve(
    comment_id: CommentId, session: SessionDep, principal: PrincipalDep
) -> CommentView:
    """Mark a comment as dealt with; done twice, the first stays."""
    row = access.load(
        session, principal, Comment, comment_id, Role.ANNOTATOR, lock=True
    )
    comments.resolve(session, principal, row)
    return comments.views(session, Comment.id == row.id)[0]
