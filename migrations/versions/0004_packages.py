"""Jobs may pack a model for other tools.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KINDS = ("ingest", "train", "evaluate", "predict", "score", "export")


def upgrade() -> None:
    _allow(*KINDS, "package")


def downgrade() -> None:
    op.execute(
        "UPDATE artifacts SET deleted_at = now() WHERE id IN "
        "(SELECT (result->>'artifact_id')::uuid FROM jobs "
        "WHERE kind = 'package' AND result ? 'artifact_id')"
    )
    op.execute("DELETE FROM jobs WHERE kind = 'package'")
    _allow(*KINDS)


def _allow(*kinds: str) -> None:
    name = op.f("ck_jobs_jobkind")
    op.drop_constraint(name, "jobs", type_="check")
    op.create_check_constraint(name, "jobs", sa.column("kind").in_(kinds))
