"""Runs migrations in one transaction, with a lock timeout so that no request waits."""

from alembic import context
from sqlalchemy import create_engine, text

from backend.models import Base

url = context.config.attributes["url"]
engine = create_engine(url)
with engine.connect() as connection:
    connection.execute(text("SET lock_timeout = '10s'"))
    connection.commit()
    context.configure(
        connection=connection, target_metadata=Base.metadata, compare_type=True
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
