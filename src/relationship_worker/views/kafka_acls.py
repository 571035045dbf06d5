"""The rights as commands for Kafka's own tool, which an administrator reads and runs."""

from itertools import groupby

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.rights import Right, Role, rights

WHO = {
    Role.INIT: "`init`: makes topics, and alters none",
    Role.RUN: "`run`",
    Role.REPLAY: "`dead-letters replay`",
    Role.DESK: "commands that look: `explain`, `shadow`, `dead-letters list`, `show`, `edit`, `discard`",
    Role.ERP: "whoever reads what came out",
}

_HEAD = """#!/bin/sh
# The rights of the worker's users at Kafka, and no more than they need. Made by `relationship-worker kafka-acls`.
# KAFKA_ACLS: Kafka's tool with whatever leads it to the brokers, for example
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server kafka:9093 --command-config admin.properties" sh kafka-acls.sh
# The users are set likewise; one user may have several roles. Rights that are there already stay as they are.
set -eu
KAFKA_ACLS="${KAFKA_ACLS:-kafka-acls.sh --bootstrap-server localhost:9092}"
"""


def script(kafka: Connection) -> str:
    """For these topics, this group and this prefix."""
    users = [f'{role.upper()}="${{{role.upper()}:-User:relationship-worker-{role}}}"' for role in Role]
    parts = [_HEAD + "\n".join(users) + "\n"]
    for role in Role:
        parts.append(f"# {WHO[role]}\n" + "".join(_commands(role, kafka)))
    return "\n".join(parts)


def _commands(role: Role, kafka: Connection) -> list[str]:
    """One for each operation on things of one kind: each starts a Java machine."""

    def alike(right: Right) -> tuple[str, str, bool]:
        return right.operation, right.kind, right.prefixed

    found = []
    for (operation, kind, prefixed), some in groupby(sorted(rights(role, kafka), key=alike), key=alike):
        on = " ".join(f"--{kind} '{right.name}'" for right in some)
        pattern = " --resource-pattern-type prefixed" if prefixed else ""
        found.append(f'$KAFKA_ACLS --add --allow-principal "${role.upper()}" --operation {operation}{pattern} {on}\n')
    return found
