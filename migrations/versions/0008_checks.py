"""Second opinions and gold tiles: the shares of a project, and which tiles are gold.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SHARES = ("second_share", "gold_share")


def upgrade() -> None:
    for name in SHARES:
        op.add_column(
            "projects",
            sa.Column(name, sa.Float(), nullable=False, server_default="0"),
        )
        op.alter_column("projects", name, server_default=None)
        op.create_check_constraint(
            op.f(f"ck_projects_{name}"), "projects", f"{name} BETWEEN 0 AND 1"
        )
    op.create_table(
        "gold_tiles",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column("annotation_id", sa.Uuid(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
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
            name=op.f("fk_gold_tiles_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tile_id"],
            ["tiles.id"],
            name=op.f("fk_gold_tiles_tile_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["annotation_id", "tile_id"],
            ["annotations.id", "annotations.tile_id"],
            name=op.f("fk_gold_tiles_annotation_id_tile_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["made_by"], ["users.id"], name=op.f("fk_gold_tiles_made_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gold_tiles")),
        sa.UniqueConstraint("tile_id", name=op.f("uq_gold_tiles_tile_id")),
    )
    op.create_index(op.f("ix_gold_tiles_project_id"), "gold_tiles", ["project_id"])


def downgrade() -> None:
    op.drop_table("gold_tiles")
    for name in SHARES:
        op.drop_constraint(op.f(f"ck_projects_{name}"), "projects", type_="check")
        op.drop_column("projects", name)
