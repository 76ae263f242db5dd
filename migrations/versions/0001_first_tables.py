"""first tables

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("strategy", sa.String(length=40), nullable=False),
        sa.Column(
            "strategy_parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
        ),
        sa.Column("query_size", sa.Integer(), nullable=False),
        sa.Column("tile_size", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("review", sa.Boolean(), nullable=False),
        sa.Column(
            "promotion",
            sa.Enum(
                "automatic",
                "manual",
                name="promotion",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("segmenter", sa.String(length=20), nullable=False),
        sa.Column("training", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("working_nm", sa.Double(), nullable=True),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "query_size BETWEEN 1 AND 1000", name=op.f("ck_projects_query_size")
        ),
        sa.CheckConstraint(
            "tile_size BETWEEN 32 AND 4096", name=op.f("ck_projects_tile_size")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("slug", name=op.f("uq_projects_slug")),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "artifacts",
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
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
            name=op.f("fk_artifacts_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sa.UniqueConstraint("key", name=op.f("uq_artifacts_key")),
    )
    op.create_index(
        op.f("ix_artifacts_project_id"), "artifacts", ["project_id"], unique=False
    )
    op.create_table(
        "audit_entries",
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("object_kind", sa.String(length=40), nullable=False),
        sa.Column("object_id", sa.String(length=80), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["users.id"], name=op.f("fk_audit_entries_actor_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_audit_entries_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index(
        "ix_audit_entries_object",
        "audit_entries",
        ["object_kind", "object_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_audit_entries_project_id"),
        "audit_entries",
        ["project_id"],
        unique=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_idempotency_keys_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint(
            "user_id", "key", name=op.f("uq_idempotency_keys_user_id_key")
        ),
    )
    op.create_table(
        "jobs",
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "ingest",
                "train",
                "evaluate",
                "predict",
                "score",
                "export",
                name="jobkind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column(
            "lane",
            sa.Enum(
                "cpu",
                "gpu",
                name="lane",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                "cancelled",
                "quarantined",
                name="jobstate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("dedupe_key", sa.String(length=200), nullable=True),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("fraction", sa.Double(), nullable=True),
        sa.Column("progress", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("log", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)",
            name=op.f("ck_jobs_lease_when_running"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_jobs_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["users.id"], name=op.f("fk_jobs_requested_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_project_id"), "jobs", ["project_id"], unique=False)
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["lane", "created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_jobs_running",
        "jobs",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "uq_jobs_dedupe_key",
        "jobs",
        ["dedupe_key"],
        unique=True,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "uq_jobs_training",
        "jobs",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'train' AND state IN ('queued', 'running')"),
    )
    op.create_table(
        "labels",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("colour", sa.String(length=7), nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("target_recall", sa.Double(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("value BETWEEN 1 AND 254", name=op.f("ck_labels_value")),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_labels_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sa.UniqueConstraint(
            "project_id", "name", name=op.f("uq_labels_project_id_name")
        ),
        sa.UniqueConstraint(
            "project_id", "value", name=op.f("uq_labels_project_id_value")
        ),
    )
    op.create_table(
        "links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.Uuid(), nullable=True),
        sa.Column(
            "role",
            sa.Enum(
                "manager",
                "reviewer",
                "annotator",
                "viewer",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
        ),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(project_id IS NULL) = (role IS NULL)",
            name=op.f("ck_links_role_needs_project"),
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name=op.f("fk_links_created_by")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_links_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_links_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("digest", name=op.f("uq_links_digest")),
    )
    op.create_index(op.f("ix_links_project_id"), "links", ["project_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "manager",
                "reviewer",
                "annotator",
                "viewer",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_memberships_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_memberships_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "project_id", name=op.f("pk_memberships")),
    )
    op.create_index(
        op.f("ix_memberships_project_id"), "memberships", ["project_id"], unique=False
    )
    op.create_table(
        "policies",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("every_annotations", sa.Integer(), nullable=True),
        sa.Column("cron", sa.String(length=100), nullable=True),
        sa.Column("minimum_minutes", sa.Double(), nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_until", sa.Time(), nullable=True),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(quiet_from IS NULL) = (quiet_until IS NULL)",
            name=op.f("ck_policies_quiet_hours"),
        ),
        sa.CheckConstraint(
            "every_annotations > 0", name=op.f("ck_policies_every_annotations")
        ),
        sa.CheckConstraint(
            "every_annotations IS NOT NULL OR cron IS NOT NULL",
            name=op.f("ck_policies_has_a_trigger"),
        ),
        sa.CheckConstraint(
            "minimum_minutes >= 0", name=op.f("ck_policies_minimum_minutes")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_policies_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
    )
    op.create_index(
        op.f("ix_policies_project_id"), "policies", ["project_id"], unique=False
    )
    op.create_table(
        "sessions",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_sessions_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_sessions_digest")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_tokens_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_index(op.f("ix_tokens_user_id"), "tokens", ["user_id"], unique=False)
    op.create_table(
        "training_sets",
        sa.Column("project_id", sa.Uuid(), nullable=False),
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
            name=op.f("fk_training_sets_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_sets")),
    )
    op.create_index(
        op.f("ix_training_sets_project_id"),
        "training_sets",
        ["project_id"],
        unique=False,
    )
    op.create_table(
        "images",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "uploaded",
                "ready",
                "rejected",
                "deleted",
                name="imagestate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column(
            "split",
            sa.Enum(
                "pool",
                "validation",
                "test",
                "none",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("dtype", sa.String(length=10), nullable=True),
        sa.Column("levels", sa.Integer(), nullable=True),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("sd", sa.Double(), nullable=True),
        sa.Column("pixel_nm", sa.Double(), nullable=True),
        sa.Column(
            "pixel_source",
            sa.Enum(
                "stated",
                "file",
                "unknown",
                name="pixelsource",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("donor", sa.String(length=100), nullable=True),
        sa.Column("group", sa.String(length=100), nullable=True),
        sa.Column("original_id", sa.Uuid(), nullable=True),
        sa.Column("pyramid_id", sa.Uuid(), nullable=True),
        sa.Column("uploaded_by", sa.Uuid(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state <> 'ready' OR (height > 0 AND width > 0 AND pyramid_id IS NOT NULL)",
            name=op.f("ck_images_ready_is_complete"),
        ),
        sa.CheckConstraint("pixel_nm > 0", name=op.f("ck_images_pixel_nm")),
        sa.ForeignKeyConstraint(
            ["original_id"], ["artifacts.id"], name=op.f("fk_images_original_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_images_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["pyramid_id"], ["artifacts.id"], name=op.f("fk_images_pyramid_id")
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by"], ["users.id"], name=op.f("fk_images_uploaded_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
    )
    op.create_index(
        op.f("ix_images_project_id"), "images", ["project_id"], unique=False
    )
    op.create_index(
        "uq_images_project_id_sha256",
        "images",
        ["project_id", "sha256"],
        unique=True,
        postgresql_where=sa.text("state <> 'deleted' AND state <> 'rejected'"),
    )
    op.create_table(
        "model_versions",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("segmenter", sa.String(length=20), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "training",
                "candidate",
                "live",
                "retired",
                "rejected",
                "failed",
                name="modelstate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("training_set_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=True),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("metrics", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tainted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('training', 'failed') OR artifact_id IS NOT NULL",
            name=op.f("ck_model_versions_weights_when_trained"),
        ),
        sa.ForeignKeyConstraint(
            ["artifact_id"],
            ["artifacts.id"],
            name=op.f("fk_model_versions_artifact_id"),
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["model_versions.id"],
            name=op.f("fk_model_versions_parent_id"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_model_versions_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["training_set_id"],
            ["training_sets.id"],
            name=op.f("fk_model_versions_training_set_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint(
            "project_id", "ordinal", name=op.f("uq_model_versions_project_id_ordinal")
        ),
    )
    op.create_index(
        op.f("ix_model_versions_project_id"),
        "model_versions",
        ["project_id"],
        unique=False,
    )
    op.create_index(
        "uq_model_versions_live",
        "model_versions",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "policy_firings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("window", sa.String(length=100), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
            name=op.f("fk_policy_firings_job_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["policies.id"],
            name=op.f("fk_policy_firings_policy_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_firings")),
        sa.UniqueConstraint(
            "policy_id", "window", name=op.f("uq_policy_firings_policy_id_window")
        ),
    )
    op.create_table(
        "evaluations",
        sa.Column("model_version_id", sa.Uuid(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "pool",
                "validation",
                "test",
                "none",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("tp", sa.BigInteger(), nullable=False),
        sa.Column("fp", sa.BigInteger(), nullable=False),
        sa.Column("fn", sa.BigInteger(), nullable=False),
        sa.Column("tiles", sa.Integer(), nullable=False),
        sa.Column("average_precision", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_evaluations_model_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "model_version_id", "split", "value", name=op.f("pk_evaluations")
        ),
    )
    op.create_table(
        "predictions",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("model_version_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.Uuid(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column(
            "label_pixels", postgresql.JSONB(astext_type=sa.Text()), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name=op.f("fk_predictions_artifact_id")
        ),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_predictions_image_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_predictions_model_version_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_predictions_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
        sa.UniqueConstraint(
            "model_version_id",
            "image_id",
            name=op.f("uq_predictions_model_version_id_image_id"),
        ),
    )
    op.create_index(
        op.f("ix_predictions_image_id"), "predictions", ["image_id"], unique=False
    )
    op.create_index(
        op.f("ix_predictions_project_id"), "predictions", ["project_id"], unique=False
    )
    op.create_table(
        "queries",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("strategy", sa.String(length=40), nullable=False),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False
        ),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("model_version_id", sa.Uuid(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "live",
                "superseded",
                name="querystate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("scores_id", sa.Uuid(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_queries_model_version_id"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_queries_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["scores_id"], ["artifacts.id"], name=op.f("fk_queries_scores_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queries")),
    )
    op.create_index(
        op.f("ix_queries_project_id"), "queries", ["project_id"], unique=False
    )
    op.create_index(
        "uq_queries_live",
        "queries",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "tiles",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("h", sa.Integer(), nullable=False),
        sa.Column("w", sa.Integer(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "pool",
                "validation",
                "test",
                "none",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_tiles_image_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_tiles_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tiles")),
        sa.UniqueConstraint("id", "split", name=op.f("uq_tiles_id_split")),
        sa.UniqueConstraint(
            "image_id", "position", name=op.f("uq_tiles_image_id_position")
        ),
    )
    op.create_index(
        "ix_tiles_project_id_split", "tiles", ["project_id", "split"], unique=False
    )
    op.create_table(
        "drafts",
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column("raster", sa.LargeBinary(), nullable=False),
        sa.Column(
            "complete_for", postgresql.JSONB(astext_type=sa.Text()), nullable=False
        ),
        sa.Column("active_seconds", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["author_id"],
            ["users.id"],
            name=op.f("fk_drafts_author_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tile_id"],
            ["tiles.id"],
            name=op.f("fk_drafts_tile_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("author_id", "tile_id", name=op.f("pk_drafts")),
    )
    op.create_table(
        "query_tiles",
        sa.Column("query_id", sa.Uuid(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["query_id"],
            ["queries.id"],
            name=op.f("fk_query_tiles_query_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tile_id"],
            ["tiles.id"],
            name=op.f("fk_query_tiles_tile_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("query_id", "rank", name=op.f("pk_query_tiles")),
        sa.UniqueConstraint(
            "query_id", "tile_id", name=op.f("uq_query_tiles_query_id_tile_id")
        ),
    )
    op.create_index(
        op.f("ix_query_tiles_tile_id"), "query_tiles", ["tile_id"], unique=False
    )
    op.create_table(
        "tasks",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column("query_id", sa.Uuid(), nullable=True),
        sa.Column("annotation_id", sa.Uuid(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "annotate",
                "review",
                name="taskkind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column(
            "source",
            sa.Enum(
                "query",
                "control",
                "gold",
                "second",
                "chosen",
                name="tasksource",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "claimed",
                "submitted",
                "accepted",
                "returned",
                "skipped",
                "withdrawn",
                name="taskstate",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column(
            "complete_for", postgresql.JSONB(astext_type=sa.Text()), nullable=True
        ),
        sa.Column("assignee_id", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("skip_reason", sa.String(), nullable=True),
        sa.Column("comment", sa.String(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(state = 'claimed') = (lease_until IS NOT NULL)",
            name=op.f("ck_tasks_lease_when_claimed"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('claimed', 'submitted', 'returned')"
            " OR assignee_id IS NOT NULL",
            name=op.f("ck_tasks_somebody_holds_it"),
        ),
        sa.ForeignKeyConstraint(
            ["annotation_id"],
            ["annotations.id"],
            name=op.f("fk_tasks_annotation_id"),
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["users.id"], name=op.f("fk_tasks_assignee_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_tasks_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["query_id"], ["queries.id"], name=op.f("fk_tasks_query_id")
        ),
        sa.ForeignKeyConstraint(
            ["tile_id"], ["tiles.id"], name=op.f("fk_tasks_tile_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    op.create_index(
        "ix_tasks_lease",
        "tasks",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index(
        "ix_tasks_open",
        "tasks",
        ["project_id", "rank"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(op.f("ix_tasks_project_id"), "tasks", ["project_id"], unique=False)
    op.create_index(op.f("ix_tasks_tile_id"), "tasks", ["tile_id"], unique=False)
    op.create_index(
        "uq_tasks_active",
        "tasks",
        ["tile_id", "kind", "slot"],
        unique=True,
        postgresql_where=sa.text("state IN ('open', 'claimed', 'submitted')"),
    )
    op.create_table(
        "annotations",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("raster", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "complete_for", postgresql.JSONB(astext_type=sa.Text()), nullable=False
        ),
        sa.Column("active_seconds", sa.Double(), nullable=True),
        sa.Column("prediction_id", sa.Uuid(), nullable=True),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Uuid(), nullable=True),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retracted_by", sa.Uuid(), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(raster IS NULL) = (erased_at IS NOT NULL)",
            name=op.f("ck_annotations_raster_until_erased"),
        ),
        sa.CheckConstraint(
            "active_seconds >= 0", name=op.f("ck_annotations_active_seconds")
        ),
        sa.ForeignKeyConstraint(
            ["accepted_by"], ["users.id"], name=op.f("fk_annotations_accepted_by")
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["users.id"], name=op.f("fk_annotations_author_id")
        ),
        sa.ForeignKeyConstraint(
            ["prediction_id"],
            ["predictions.id"],
            name=op.f("fk_annotations_prediction_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_annotations_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["retracted_by"], ["users.id"], name=op.f("fk_annotations_retracted_by")
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_annotations_task_id")
        ),
        sa.ForeignKeyConstraint(
            ["tile_id"],
            ["tiles.id"],
            name=op.f("fk_annotations_tile_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotations")),
        sa.UniqueConstraint("id", "tile_id", name=op.f("uq_annotations_id_tile_id")),
        sa.UniqueConstraint(
            "tile_id", "revision", name=op.f("uq_annotations_tile_id_revision")
        ),
    )
    op.create_index(
        "ix_annotations_project_id_created_at",
        "annotations",
        ["project_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "task_holders",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.id"],
            name=op.f("fk_task_holders_task_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_task_holders_user_id")
        ),
        sa.PrimaryKeyConstraint("task_id", "user_id", name=op.f("pk_task_holders")),
    )
    op.create_table(
        "training_set_items",
        sa.Column("training_set_id", sa.Uuid(), nullable=False),
        sa.Column("annotation_id", sa.Uuid(), nullable=False),
        sa.Column("tile_id", sa.Uuid(), nullable=False),
        sa.Column(
            "split",
            sa.Enum(
                "pool",
                "validation",
                "test",
                "none",
                name="split",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.CheckConstraint(
            "split = 'pool'", name=op.f("ck_training_set_items_pool_only")
        ),
        sa.ForeignKeyConstraint(
            ["annotation_id", "tile_id"],
            ["annotations.id", "annotations.tile_id"],
            name=op.f("fk_training_set_items_annotation_id_tile_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tile_id", "split"],
            ["tiles.id", "tiles.split"],
            name=op.f("fk_training_set_items_tile_id_split"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["training_set_id"],
            ["training_sets.id"],
            name=op.f("fk_training_set_items_training_set_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "training_set_id", "annotation_id", name=op.f("pk_training_set_items")
        ),
        sa.UniqueConstraint(
            "training_set_id",
            "tile_id",
            name=op.f("uq_training_set_items_training_set_id_tile_id"),
        ),
    )
    op.create_index(
        op.f("ix_training_set_items_annotation_id"),
        "training_set_items",
        ["annotation_id"],
        unique=False,
    )
    # tasks and annotations point at each other, so one of the keys comes last
    op.create_foreign_key(
        op.f("fk_tasks_annotation_id"),
        "tasks",
        "annotations",
        ["annotation_id"],
        ["id"],
    )


def downgrade() -> None:
    op.drop_constraint(op.f("fk_tasks_annotation_id"), "tasks")
    op.drop_index(
        op.f("ix_training_set_items_annotation_id"), table_name="training_set_items"
    )
    op.drop_table("training_set_items")
    op.drop_table("task_holders")
    op.drop_index("ix_annotations_project_id_created_at", table_name="annotations")
    op.drop_table("annotations")
    op.drop_index(
        "uq_tasks_active",
        table_name="tasks",
        postgresql_where=sa.text("state IN ('open', 'claimed', 'submitted')"),
    )
    op.drop_index(op.f("ix_tasks_tile_id"), table_name="tasks")
    op.drop_index(op.f("ix_tasks_project_id"), table_name="tasks")
    op.drop_index(
        "ix_tasks_open", table_name="tasks", postgresql_where=sa.text("state = 'open'")
    )
    op.drop_index(
        "ix_tasks_lease",
        table_name="tasks",
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.drop_table("tasks")
    op.drop_index(op.f("ix_query_tiles_tile_id"), table_name="query_tiles")
    op.drop_table("query_tiles")
    op.drop_table("drafts")
    op.drop_index("ix_tiles_project_id_split", table_name="tiles")
    op.drop_table("tiles")
    op.drop_index(
        "uq_queries_live",
        table_name="queries",
        postgresql_where=sa.text("state = 'live'"),
    )
    op.drop_index(op.f("ix_queries_project_id"), table_name="queries")
    op.drop_table("queries")
    op.drop_index(op.f("ix_predictions_project_id"), table_name="predictions")
    op.drop_index(op.f("ix_predictions_image_id"), table_name="predictions")
    op.drop_table("predictions")
    op.drop_table("evaluations")
    op.drop_table("policy_firings")
    op.drop_index(
        "uq_model_versions_live",
        table_name="model_versions",
        postgresql_where=sa.text("state = 'live'"),
    )
    op.drop_index(op.f("ix_model_versions_project_id"), table_name="model_versions")
    op.drop_table("model_versions")
    op.drop_index(
        "uq_images_project_id_sha256",
        table_name="images",
        postgresql_where=sa.text("state <> 'deleted' AND state <> 'rejected'"),
    )
    op.drop_index(op.f("ix_images_project_id"), table_name="images")
    op.drop_table("images")
    op.drop_index(op.f("ix_training_sets_project_id"), table_name="training_sets")
    op.drop_table("training_sets")
    op.drop_index(op.f("ix_tokens_user_id"), table_name="tokens")
    op.drop_table("tokens")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_policies_project_id"), table_name="policies")
    op.drop_table("policies")
    op.drop_index(op.f("ix_memberships_project_id"), table_name="memberships")
    op.drop_table("memberships")
    op.drop_index(op.f("ix_links_project_id"), table_name="links")
    op.drop_table("links")
    op.drop_table("labels")
    op.drop_index(
        "uq_jobs_training",
        table_name="jobs",
        postgresql_where=sa.text("kind = 'train' AND state IN ('queued', 'running')"),
    )
    op.drop_index(
        "uq_jobs_dedupe_key",
        table_name="jobs",
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.drop_index(
        "ix_jobs_running",
        table_name="jobs",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_index(
        "ix_jobs_queued",
        table_name="jobs",
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index(op.f("ix_jobs_project_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_audit_entries_project_id"), table_name="audit_entries")
    op.drop_index("ix_audit_entries_object", table_name="audit_entries")
    op.drop_table("audit_entries")
    op.drop_index(op.f("ix_artifacts_project_id"), table_name="artifacts")
    op.drop_table("artifacts")
    op.drop_table("users")
    op.drop_table("projects")
