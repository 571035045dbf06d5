"""A worker to which something was done before it runs: `python -m system.sabotaged_worker NAME run`."""

import sys

from relationship_worker import cli
from system.sabotage.plays import PLAYS


def main() -> None:
    """The command line of the worker, behind the name of a play."""
    for deed in PLAYS[sys.argv.pop(1)].deeds:
        deed()
    cli.main()


if __name__ == "__main__":
    main()
