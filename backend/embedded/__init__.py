"""The services of one machine: PostgreSQL and Valkey from wheels, one supervisor.

home        directories and locks that belong to one data directory
leash       the little program that ties a child to its parent and to a pid file
process     what the supervisor can run, and how a process is started and stopped
postgres    PostgreSQL as a child, adopted if a killed run left it
valkey      Valkey as a child, reaped if a killed run left it
supervisor  all of them under one roof, with one log and a clean Ctrl-C
"""

from backend.embedded.home import exclusive
from backend.embedded.postgres import EmbeddedPostgres
from backend.embedded.process import Process, Program
from backend.embedded.supervisor import Supervisor
from backend.embedded.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "Process",
    "Program",
    "Supervisor",
    "exclusive",
]
