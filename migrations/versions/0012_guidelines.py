"""Example pictures of labels, gold tiles to practise on, labels that never touch.

Revision ID: 0012
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    added = [
        ("projects", sa.Column("gold_feedback", sa.Boolean(), server_default="true")),
        ("projects", sa.Column("never_touch", JSONB(), server_default="[]")),
        ("gold_tiles", sa.Column("practice", sa.Boolean(), server_default="false")),
    ]
    for table, column in added:
        column.nullable = False
        op.add_column(table, column)
        op.alter_column(table, column.name, server_default=None)
    op.create_table(
        "examples",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("label_id", sa.Uuid(), nullable=False),
        sa.Column("caption", sa.String(300), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_examples_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["label_id"],
            ["labels.id"],
            name=op.f("fk_examples_label_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_examples")),
    )
    for column in ("project_id", "label_id"):
        op.create_index(op.f(f"ix_examples_{column}"), "examples", [column])


def downgrade() -> None:
    op.drop_table("examples")
    op.drop_column("gold_tiles", "practice")
    op.drop_column("projects", "never_touch")
    op.drop_column("projects", "gold_feedback")
