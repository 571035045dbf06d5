"""${message}"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
# Of which schema's version the oldest workers are that may still run beside this release's. Without this line: none but these.
# See deploy/runbook.md, Rolling upgrade.
oldest_worker = ${repr(up_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
