"""Operating points: a label's precision floor, a version's offsets, what chose them.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COUNTS = ("positives", "negatives", "undecided_missed", "undecided_others")


def upgrade() -> None:
    op.add_column("labels", sa.Column("precision_floor", sa.Float()))
    op.create_check_constraint(
        op.f("ck_labels_precision_floor"),
        "labels",
        "precision_floor > 0 AND precision_floor < 1",
    )
    op.add_column(
        "model_versions",
        sa.Column("offsets", JSONB(), nullable=False, server_default="{}"),
    )
    op.alter_column("model_versions", "offsets", server_default=None)
    for name in COUNTS:
        op.add_column("evaluations", sa.Column(name, JSONB()))


def downgrade() -> None:
    for name in reversed(COUNTS):
        op.drop_column("evaluations", name)
    op.drop_column("model_versions", "offsets")
    op.drop_constraint(op.f("ck_labels_precision_floor"), "labels", type_="check")
    op.drop_column("labels", "precision_floor")
