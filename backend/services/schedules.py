"""Which schedule a training takes and why, and which plans it keeps to.

`quick` goes on from the live version and learns what is new beside what is known;
`full` starts from scratch. Plans are counted from 1 in each project and segmenter;
versions of one count have networks of one shape.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict, Invalid
from backend.domain.states import ModelState, Schedule
from backend.models import ModelVersion, Project, TrainingSetItem


@dataclass(frozen=True, slots=True)
class Course:
    """What a training will do; these are settings of the version it makes."""

    schedule: Schedule
    reason: str
    quick_rounds: int
    """Quick ones since the last full one, itself included."""
    plans: int

    def as_settings(self) -> dict[str, object]:
        """Return what the version remembers."""
        return {
            "schedule": self.schedule,
            "schedule_reason": self.reason,
            "quick_rounds": self.quick_rounds,
            "plans": {"version": self.plans},
        }


def choose(
    session: Session,
    project: Project,
    segmenter: str,
    lessons: Collection[uuid.UUID],
    settings: Mapping[str, Any],
    live: ModelVersion | None,
    *,
    insisted: bool,
) -> Course:
    """Decide the course of a training on these annotations.

    `settings` hold what was asked for: schedule, full_every and replan. Raises Invalid
    or Conflict if that cannot be; a quick training is only refused if somebody
    `insisted` on it just now, a project that wishes for it gets a full one.
    """
    asked, replan = Schedule(settings["schedule"]), bool(settings.get("replan"))
    _refuse_contradictions(segmenter, asked if insisted else Schedule.AUTO, replan)
    trained = planned(session, project.id, segmenter)
    plans = plans_version(trained[0]) if trained else 1
    if replan and trained:
        plans = 1 + max(plans_version(version) for version in trained)

    def full(reason: str) -> Course:
        return Course(Schedule.FULL, reason, 0, plans)

    if segmenter == "forest":
        return full("A forest is always grown anew.")
    if replan:
        return full("Plans are made anew.")
    if asked is Schedule.FULL:
        return full("It was asked for.")
    obstacle = _obstacle(live, segmenter, plans)
    if obstacle is not None or live is None:
        if insisted and asked is Schedule.QUICK:
            raise Conflict(f"{obstacle} Ask for full or auto.", field="schedule")
        return full(obstacle or "")
    rounds = 1 + _quick_rounds(live)
    known = _learnt(session, live)
    fresh = len(set(lessons) - known)
    if asked is Schedule.QUICK:
        reason = "It was asked for."
    elif rounds >= settings["full_every"]:
        since = f"{rounds - 1} quick rounds have followed the last full one"
        return full(f"{since}; one round in {settings['full_every']} is full.")
    elif fresh == 0:
        return full(f"Nothing is new since round {live.ordinal}.")
    elif fresh > len(known):
        return full(f"More tiles are new ({fresh}) than known ({len(known)}).")
    else:
        reason = f"{fresh} new beside {len(known)} tiles that round {live.ordinal} knew"
        reason = f"{reason}; quick round {rounds} since the last full one."
    return Course(Schedule.QUICK, reason, rounds, plans)


def planned(
    session: Session, project_id: uuid.UUID, segmenter: str
) -> list[ModelVersion]:
    """Return the trained versions of a segmenter; the first one's plans are in force.

    The newest comes first, retired ones and then rejected ones last: whoever rejects
    the first version with new plans, or rolls back from it, goes back to the old plans.
    """
    set_aside = case(
        (ModelVersion.state == ModelState.REJECTED, 2),
        (ModelVersion.state == ModelState.RETIRED, 1),
        else_=0,
    )
    return list(
        session.scalars(
            select(ModelVersion)
            .where(
                ModelVersion.project_id == project_id,
                ModelVersion.segmenter == segmenter,
                ModelVersion.artifact_id.is_not(None),
            )
            .order_by(set_aside, ModelVersion.ordinal.desc())
        )
    )


def plans_version(version: ModelVersion) -> int:
    """Return which of the project's plans a version keeps to."""
    plans: Any = version.settings.get("plans", {})
    return int(plans.get("version", 1))


def fresh(
    session: Session, version: ModelVersion, lessons: Collection[uuid.UUID]
) -> frozenset[uuid.UUID]:
    """Return those of these annotations that a version did not learn from."""
    return frozenset(lessons) - _learnt(session, version)


def _refuse_contradictions(segmenter: str, asked: Schedule, replan: bool) -> None:
    if segmenter == "forest" and asked is Schedule.QUICK:
        raise Invalid(
            "A forest is always grown anew: leave the schedule out.", field="schedule"
        )
    if segmenter == "forest" and replan:
        raise Invalid("A forest has no plans: leave replan out.", field="replan")
    if replan and asked is Schedule.QUICK:
        raise Invalid(
            "New plans make another network, which has to learn from scratch: ask for "
            "a full training, or keep the plans.",
            field="schedule",
        )


def _obstacle(live: ModelVersion | None, segmenter: str, plans: int) -> str | None:
    """Return why a training cannot go on from the live version, if so."""
    if live is None:
        return "No version is live yet to go on from."
    if live.segmenter != segmenter:
        return f"The live version is a {live.segmenter}, which {segmenter} cannot use."
    if live.tainted_at is not None:
        return f"Data that round {live.ordinal} learnt from was withdrawn."
    if plans_version(live) != plans:
        return f"Round {live.ordinal}, which is live, has other plans."
    return None


def _quick_rounds(version: ModelVersion) -> int:
    rounds: Any = version.settings.get("quick_rounds", 0)
    return int(rounds)


def _learnt(session: Session, version: ModelVersion) -> set[uuid.UUID]:
    return set(
        session.scalars(
            select(TrainingSetItem.annotation_id).where(
                TrainingSetItem.training_set_id == version.training_set_id
            )
        )
    )
