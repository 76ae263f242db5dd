"""Policies say which schedule they ask for.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schedule = sa.Enum(
        "auto",
        "quick",
        "full",
        name="schedule",
        native_enum=False,
        create_constraint=True,
        length=20,
    )
    op.add_column(
        "policies",
        sa.Column("schedule", schedule, nullable=False, server_default="auto"),
    )
    op.alter_column("policies", "schedule", server_default=None)


def downgrade() -> None:
    op.drop_column("policies", "schedule")
