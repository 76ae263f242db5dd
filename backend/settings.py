"""Settings of one installation, read once from the environment and passed on."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All settings; each is an environment variable with the prefix CISTERNA_."""

    model_config = SettingsConfigDict(
        env_prefix="CISTERNA_", frozen=True, env_ignore_empty=True
    )

    data_dir: Path = Field(
        default=Path.home() / ".local/share/cisterna",
        description="Where embedded servers, artifacts and the admin token live.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://… of a real server (15 or newer); embedded if empty.",
    )
    broker_url: SecretStr | None = Field(
        default=None,
        description="redis://… or unix://… (redis-py's dialect); embedded if empty.",
    )
    storage_url: str | None = Field(
        default=None,
        description="file:///… or s3://bucket/prefix; <data_dir>/artifacts if empty.",
    )
    host: str = Field(default="127.0.0.1", description="Address the API binds to.")
    port: int = Field(default=8765, ge=0, le=65535, description="Port of the API.")
    public_url: str | None = Field(
        default=None,
        description="Address people type if a proxy stands in front; for links.",
    )
    lanes: tuple[str, ...] = Field(
        default=("cpu", "gpu"), description="Lanes this worker serves (JSON list)."
    )
    slots: int = Field(
        default=1, ge=1, description="Jobs a worker runs at once per lane."
    )
    lease_seconds: int = Field(default=1800, ge=10, description="A task's lease.")
    job_lease_seconds: float = Field(default=90, gt=1, description="A job's lease.")
    heartbeat_seconds: float = Field(
        default=15, gt=0.05, description="How often a worker renews a job's lease."
    )
    stall_seconds: float = Field(
        default=900, gt=1, description="A job without progress for so long is stopped."
    )
    tick_seconds: float = Field(default=5, gt=0.05, description="Beat of the clock.")
    max_upload_bytes: int = Field(
        default=8 * 2**30, gt=0, description="Largest image file accepted."
    )
    max_image_pixels: int = Field(
        default=2**32, gt=0, description="Largest width x height accepted."
    )

    @property
    def base_url(self) -> str:
        """Address of the service as people reach it, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def admin_token_file(self) -> Path:
        """Where the first start leaves the admin token (mode 0600)."""
        return self.data_dir / "admin.token"

    @property
    def artifacts_url(self) -> str:
        """URL of the artifact store."""
        return self.storage_url or (self.data_dir / "artifacts").absolute().as_uri()
