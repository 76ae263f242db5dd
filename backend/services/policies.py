"""Policies: when to retrain, without anybody asking.

A policy has one or two triggers: so many newly accepted annotations, a cron expression
in the project's time zone. Quiet hours, the minimum interval and a training under way
put it off; a window of cron that is put off fires later, unless a newer one has come.
"""

import datetime as dt
import re
import uuid
import zoneinfo
from typing import NamedTuple

from croniter import CroniterError, croniter
from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.errors import Conflict, Invalid
from backend.domain.events import Event, EventKind
from backend.domain.states import JobKind, ModelState, Schedule, Split
from backend.models import (
    Annotation,
    Job,
    ModelVersion,
    Policy,
    PolicyFiring,
    Project,
    TrainingSetItem,
)
from backend.schemas.policy import NewPolicy, PolicyEdit
from backend.services import annotations, audit, jobs, trainings
from backend.services.access import Principal, now


def create(
    session: Session, principal: Principal, project: Project, body: NewPolicy
) -> Policy:
    """Add a policy; only cron windows from now on count."""
    row = Policy(project_id=project.id, watermark=now(), **body.model_dump())
    _check(row)
    session.add(row)
    session.flush()
    _record(session, principal, "create", row)
    return row


def listed(project_id: uuid.UUID) -> Select[Policy]:
    """Select the policies of a project."""
    return select(Policy).where(Policy.project_id == project_id)


def edit(
    session: Session, principal: Principal, row: Policy, body: PolicyEdit
) -> Policy:
    """Change a policy; cron windows before the change are forgotten."""
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(row, name, value)
    row.watermark = now()
    _check(row)
    session.flush()
    _record(session, principal, "edit", row)
    return row


def remove(session: Session, principal: Principal, row: Policy) -> None:
    """Delete a policy and the memory of its firings."""
    session.delete(row)
    session.flush()
    _record(session, principal, "delete", row)


def last_firing(session: Session, id: uuid.UUID) -> PolicyFiring | None:
    """Return when and how a policy fired last."""
    return session.scalar(
        select(PolicyFiring)
        .where(PolicyFiring.policy_id == id)
        .order_by(PolicyFiring.id.desc())
        .limit(1)
    )


def _record(
    session: Session, actor: Principal | None, action: str, row: Policy, **detail: str
) -> None:
    audit.record(
        session,
        actor,
        action,
        "policy",
        row.id,
        project_id=row.project_id,
        **detail,
    )
    event = Event(EventKind.POLICY, str(row.id), action)
    publish_after_commit(session, row.project_id, event)


def _check(row: Policy) -> None:
    if row.every_annotations is None and row.cron is None:
        raise Invalid(
            "A policy needs a trigger: set every_annotations, cron, or both.",
            field="every_annotations",
        )
    if (row.quiet_from is None) != (row.quiet_until is None):
        raise Invalid(
            "Quiet hours need both ends: set quiet_from and quiet_until, or neither.",
            field="quiet_until",
        )
    if row.quiet_from is not None and row.quiet_from == row.quiet_until:
        raise Invalid(
            "Quiet hours that end where they begin last all day; disable the policy "
            "instead.",
            field="quiet_until",
        )
    if row.cron is not None:
        _check_cron(row.cron)


def _check_cron(text: str) -> None:
    form = "write five fields, minute hour day month weekday, such as 0 2 * * 1-5"
    # R and H are random and hashed values: two clocks would see two windows
    if len(text.split()) != 5 or re.search(r"(?<![A-Za-z])[RrHh](?![A-Za-z])", text):
        raise Invalid(f"{text!r} is no cron expression: {form}.", field="cron")
    try:
        croniter(text, now()).get_next(dt.datetime)
    except (CroniterError, ValueError, KeyError) as error:
        why = str(error).rstrip(".")
        raise Invalid(
            f"{text!r} is no cron expression ({why}): {form}.", field="cron"
        ) from None


# Firing


class Window(NamedTuple):
    """A reason to train; its name is unique for ever. `at` is cron's time, or None."""

    name: str
    at: dt.datetime | None


def enabled(session: Session) -> list[uuid.UUID]:
    """Return the policies a clock has to consider."""
    return list(session.scalars(select(Policy.id).where(Policy.enabled)))


def consider(
    session: Session, id: uuid.UUID, at: dt.datetime | None = None
) -> Job | None:
    """Fire a policy if it is due at this time, once however many clocks ask.

    Returns the training it started, if any. `at` is now unless given.
    """
    policy = session.get(Policy, id)
    if policy is None or not policy.enabled:
        return None
    at = at or now()
    project = session.get_one(Project, policy.project_id)
    local = at.astimezone(zoneinfo.ZoneInfo(project.time_zone))
    if _put_off(session, policy, local):
        return None
    fresh, since = _new_annotations(session, project, policy.schedule)
    window = _cron_window(policy, local) or _count_window(policy, fresh, since)
    if window is None:
        return None
    firing = session.scalar(
        insert(PolicyFiring)
        .values(policy_id=id, window=window.name, outcome="due", fired_at=now())
        .on_conflict_do_nothing()
        .returning(PolicyFiring.id)
    )
    if window.at is not None:
        # not through the ORM: it would count the version on, and an edit would be stale
        session.execute(
            update(Policy)
            .where(Policy.id == id)
            .values(watermark=window.at)
            .execution_options(synchronize_session=False)
        )
    if firing is None:
        return None
    job, outcome = _train(session, project, policy.schedule, fresh)
    session.execute(
        update(PolicyFiring)
        .where(PolicyFiring.id == firing)
        .values(outcome=outcome, job_id=job.id if job else None)
    )
    _record(session, None, "fire", policy, window=window.name, outcome=outcome)
    return job


class Forecast(NamedTuple):
    """When a policy fires next, as far as can be told.

    `new` counts the annotations it has not trained on, `left` how many more fire it,
    0 if it is due; `at` is cron's next time, or the one that is due, in the project's
    zone. None where it has no such trigger.
    """

    new: int
    left: int | None
    at: dt.datetime | None
    put_off: bool


def forecast(
    session: Session, project: Project, policy: Policy, at: dt.datetime
) -> Forecast:
    """Say when a policy will fire, seen at this time."""
    local = at.astimezone(zoneinfo.ZoneInfo(project.time_zone))
    new, since = _new_annotations(session, project, policy.schedule)
    due: dt.datetime | None = None
    if policy.cron is not None:
        window = _cron_window(policy, local)
        due = (
            window.at if window else croniter(policy.cron, local).get_next(dt.datetime)
        )
    left: int | None = None
    if policy.every_annotations is not None:
        counted = _count_window(policy, new, since)
        if counted is not None and not _has_fired(session, policy, counted):
            left = 0
        else:
            left = policy.every_annotations - new % policy.every_annotations
    return Forecast(new, left, due, _put_off(session, policy, local))


def _has_fired(session: Session, policy: Policy, window: Window) -> bool:
    fired = select(PolicyFiring.id).where(
        PolicyFiring.policy_id == policy.id, PolicyFiring.window == window.name
    )
    return session.scalar(fired) is not None


def _train(
    session: Session, project: Project, schedule: Schedule, fresh: int
) -> tuple[Job | None, str]:
    if fresh == 0:
        last = "full training" if schedule is Schedule.FULL else "training"
        return None, f"Nothing was accepted since the last {last}."
    try:
        with session.begin_nested():
            asked = {} if schedule is Schedule.AUTO else {"schedule": schedule}
            job = trainings.request(session, project, settings=asked)
    except Conflict as error:
        return None, error.detail
    return job, f"A training on {fresh} new annotations was queued."


def _put_off(session: Session, policy: Policy, local: dt.datetime) -> bool:
    if policy.quiet_from is not None and policy.quiet_until is not None:
        begin, end, clock = policy.quiet_from, policy.quiet_until, local.time()
        quiet = begin <= clock < end
        if begin > end:  # over midnight
            quiet = clock >= begin or clock < end
        if quiet:
            return True
    mine = (Job.project_id == policy.project_id, Job.kind == JobKind.TRAIN)
    under_way = select(Job.id).where(*mine, Job.state.in_(jobs.LIVE))
    if session.scalar(under_way.limit(1)) is not None:
        return True
    last = session.scalar(select(func.max(Job.created_at)).where(*mine))
    pause = dt.timedelta(minutes=policy.minimum_minutes)
    return last is not None and local - last < pause


def _new_annotations(
    session: Session, project: Project, schedule: Schedule
) -> tuple[int, uuid.UUID | None]:
    """Count what a training would learn that the last one did not; name that one's set.

    A training that failed taught nobody anything, so it does not count as the last. To
    a full one quick ones do not count: what they learnt is to be learnt from scratch.
    """
    versions = (
        select(ModelVersion.training_set_id)
        .where(
            ModelVersion.project_id == project.id,
            ModelVersion.segmenter == project.segmenter,
            ModelVersion.state != ModelState.FAILED,
        )
        .order_by(ModelVersion.ordinal.desc())
    )
    if schedule is Schedule.FULL:
        taken = ModelVersion.settings["schedule"].astext
        versions = versions.where(taken.is_distinct_from(Schedule.QUICK))
    since = session.scalar(versions.limit(1))
    accepted = (
        annotations.newest_accepted(project.id, Split.POOL)
        .with_only_columns(Annotation.id)
        .subquery()
    )
    learnt = select(TrainingSetItem.annotation_id).where(
        TrainingSetItem.training_set_id == since
    )
    fresh = session.scalar(
        select(func.count()).select_from(accepted).where(accepted.c.id.not_in(learnt))
    )
    return fresh or 0, since


def _cron_window(policy: Policy, local: dt.datetime) -> Window | None:
    """Return the newest window of cron that has come since the watermark.

    Its name is the time on the wall, so that the hour an autumn night has twice fires
    once; a time that a spring night lacks comes at the next that exists.
    """
    if policy.cron is None:
        return None
    came: dt.datetime = croniter(policy.cron, local).get_prev(dt.datetime)
    if policy.watermark is not None and came <= policy.watermark:
        return None
    return Window(f"cron {came:%Y-%m-%dT%H:%M}", came)


def _count_window(policy: Policy, fresh: int, since: uuid.UUID | None) -> Window | None:
    """Return the window of each full `every_annotations` since the last training.

    Counting the multiples gives a training that failed another chance, but only one
    for every `every_annotations` more.
    """
    if policy.every_annotations is None or fresh < policy.every_annotations:
        return None
    multiple = fresh // policy.every_annotations
    return Window(f"annotations {since or 'first'} {multiple}", None)
