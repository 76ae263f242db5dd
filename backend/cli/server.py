"""Commands of the machine itself: up, migrate, doctor."""

import json

import typer

from backend.cli.doctor import examine
from backend.cli.session import Json
from backend.cli.stack import check_port, stack, welcome
from backend.db import connect, migrate
from backend.domain.errors import Invalid
from backend.embedded import Supervisor
from backend.services import people
from backend.settings import Settings


def up() -> None:
    """Run everything on this machine: database, broker, API, worker, beat.

    Servers named by CISTERNA_DATABASE_URL and CISTERNA_BROKER_URL are used as they are.
    """
    settings = Settings()
    check_port(settings)
    settings, processes = stack(settings)

    def tell() -> None:
        print("\n".join(("", *welcome(settings), "Ctrl-C stops everything.", "")))

    Supervisor(settings.data_dir, processes).run(tell)


def migrate_database() -> None:
    """Bring the database up to date, and make the first admin if there is none."""
    settings = Settings()
    if settings.database_url is None:
        raise Invalid(
            "CISTERNA_DATABASE_URL is not set; `cisterna up` migrates the embedded "
            "database by itself.",
            field="database_url",
        )
    url = settings.database_url.get_secret_value()
    migrate(url)
    database = connect(url)
    try:
        with database.unit_of_work() as session:
            made = people.ensure_admin(session, settings.admin_token_file)
    finally:
        database.close()
    print("The database is up to date.")
    if made:
        print(f"The admin's token is in {settings.admin_token_file.absolute()}.")


def doctor(as_json: Json = False) -> None:
    """Check this machine: Python, wheels, disk, memory, ports, servers, torch."""
    checks = examine(Settings())
    if as_json:
        print(json.dumps([check._asdict() for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{check.state:>4}  {check.name:<10} {check.detail}")
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)
