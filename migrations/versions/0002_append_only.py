"""Annotations and audit entries are append-only.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_annotation_change() RETURNS trigger AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND
                (to_jsonb(NEW) - '{accepted_at,accepted_by,retracted_at,retracted_by,
                    erased_at,raster,prediction_id}'::text[])
                = (to_jsonb(OLD) - '{accepted_at,accepted_by,retracted_at,retracted_by,
                    erased_at,raster,prediction_id}'::text[])
                AND (NEW.raster IS NULL OR NEW.raster = OLD.raster)
                AND (NEW.prediction_id IS NULL
                     OR NEW.prediction_id = OLD.prediction_id)
                AND (OLD.retracted_at IS NULL
                     OR NEW.retracted_at IS NOT DISTINCT FROM OLD.retracted_at)
            THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'annotations are append-only'
                USING ERRCODE = 'restrict_violation';
        END
        $$ LANGUAGE plpgsql
        """
    )
    op.execute(
        """
        CREATE TRIGGER annotations_append_only BEFORE UPDATE ON annotations
        FOR EACH ROW EXECUTE FUNCTION refuse_annotation_change()
        """
    )
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END
        $$ LANGUAGE plpgsql
        """
    )
    op.execute(
        """
        CREATE TRIGGER annotations_never_deleted BEFORE DELETE ON annotations
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_entries
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
        """
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_append_only ON audit_entries")
    op.execute("DROP TRIGGER annotations_never_deleted ON annotations")
    op.execute("DROP FUNCTION refuse_change")
    op.execute("DROP TRIGGER annotations_append_only ON annotations")
    op.execute("DROP FUNCTION refuse_annotation_change")
