"""Evaluations keep intervals and counts per annotation, jobs their curve.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ENDS = ("dice_low", "dice_high", "recall_low", "recall_high")


def upgrade() -> None:
    for name in ENDS:
        op.add_column("evaluations", sa.Column(name, sa.Float()))
    op.add_column("evaluations", sa.Column("by_annotation", JSONB()))
    op.add_column(
        "jobs", sa.Column("curve", JSONB(), nullable=False, server_default="[]")
    )
    op.alter_column("jobs", "curve", server_default=None)


def downgrade() -> None:
    op.drop_column("jobs", "curve")
    for name in ("by_annotation", *ENDS):
        op.drop_column("evaluations", name)
