"""Migrations go up and down on real PostgreSQL and agree with the models."""

from collections.abc import Callable

import sqlalchemy as sa

from backend.db import drift, migrate


def test_up_down_up_leaves_no_drift(database_url: str) -> None:
    drift(database_url)
    migrate(database_url, "base")
    engine = sa.create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    with engine.connect() as connection:
        functions = connection.execute(
            sa.text(
                "SELECT proname FROM pg_proc"
                " WHERE pronamespace = 'public'::regnamespace"
            )
        ).all()
    assert functions == []
    migrate(database_url)
    drift(database_url)
    engine.dispose()


def test_each_step_down_and_up_again(make_database: Callable[[], str]) -> None:
    url = make_database()
    for _ in range(2):
        migrate(url, "-1")
    migrate(url)
    drift(url)
