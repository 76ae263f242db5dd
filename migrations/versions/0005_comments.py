"""Comments on revisions, pinned to pixels or not; labels say how to paint them.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comments",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column("annotation_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=True),
        sa.Column("x", sa.Integer(), nullable=True),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(y IS NULL) = (x IS NULL)", name=op.f("ck_comments_whole_pin")
        ),
        sa.CheckConstraint("y >= 0 AND x >= 0", name=op.f("ck_comments_pin_in_tile")),
        sa.CheckConstraint(
            "(resolved_at IS NULL) = (resolved_by IS NULL)",
            name=op.f("ck_comments_resolved_by_somebody"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_comments_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tile_id"],
            ["tiles.id"],
            name=op.f("fk_comments_tile_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["annotation_id", "tile_id"],
            ["annotations.id", "annotations.tile_id"],
            name=op.f("fk_comments_annotation_id_tile_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["users.id"], name=op.f("fk_comments_author_id")
        ),
        sa.ForeignKeyConstraint(
            ["resolved_by"], ["users.id"], name=op.f("fk_comments_resolved_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(
        op.f("ix_comments_annotation_id"), "comments", ["annotation_id"], unique=False
    )
    op.create_index(
        op.f("ix_comments_tile_id_created_at"),
        "comments",
        ["tile_id", "created_at"],
        unique=False,
    )
    op.add_column(
        "labels",
        sa.Column("guideline", sa.String(4000), nullable=False, server_default=""),
    )
    op.alter_column("labels", "guideline", server_default=None)


def downgrade() -> None:
    op.drop_column("labels", "guideline")
    op.drop_table("comments")
