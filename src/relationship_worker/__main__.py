"""`python -m relationship_worker`."""

from relationship_worker.cli import main

main()
