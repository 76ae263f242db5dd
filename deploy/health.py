"""Health check of a container: ends with 0 if all is well, else says what is not.

With an address it expects an answer of 2xx there; without one it asks the two servers
that every process of Cisterna needs. A worker that hangs is not its business: the lease
of the job it holds lapses, and another worker takes over.
"""

import sys
import urllib.request

import psycopg
import redis
from sqlalchemy import make_url

from backend.settings import Settings


def ask_servers(settings: Settings) -> None:
    """Raise unless PostgreSQL and Valkey answer."""
    if settings.database_url is None or settings.broker_url is None:
        sys.exit("CISTERNA_DATABASE_URL and CISTERNA_BROKER_URL must be set.")
    url = make_url(settings.database_url.get_secret_value())
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, connect_timeout=5) as connection:
        connection.execute("SELECT 1")
    broker = settings.broker_url.get_secret_value()
    with redis.Redis.from_url(broker, socket_timeout=5) as client:
        client.ping()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        urllib.request.urlopen(sys.argv[1], timeout=10).close()
    else:
        ask_servers(Settings())
