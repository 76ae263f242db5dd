"""A Query's tiles keep what its version missed there; tiles are sampled by their ids.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("query_tiles", sa.Column("lessons", JSONB()))
    op.drop_index("ix_tiles_project_id_split", "tiles")
    op.create_index(
        "ix_tiles_project_id_split_id", "tiles", ["project_id", "split", "id"]
    )


def downgrade() -> None:
    op.drop_index("ix_tiles_project_id_split_id", "tiles")
    op.create_index("ix_tiles_project_id_split", "tiles", ["project_id", "split"])
    op.drop_column("query_tiles", "lessons")
