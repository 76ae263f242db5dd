"""`python -m backend.cli`, which children of the supervisor use."""

from backend.cli import main

main()
