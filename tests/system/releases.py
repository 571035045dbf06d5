"""A next release of the worker: the package as it is, with one migration more."""

import shutil
from pathlib import Path

import relationship_worker
from relationship_worker.storage.database import schema_version

THIS = schema_version()
NEXT = f"{int(THIS) + 1:04}"

# Only adds: a table, and to tables that each order and each decision writes a column that may stay empty, one that has a
# default, and an index.
_MIGRATION = f'''"""What the next release adds."""

from alembic import op

revision, down_revision, branch_labels, depends_on = "{NEXT}", "{THIS}", None, None
oldest_worker = "%s"


def upgrade() -> None:
    op.execute("CREATE TABLE of_the_next_release (name text PRIMARY KEY)")
    op.execute("ALTER TABLE answers ADD COLUMN of_the_next_release text")
    op.execute("ALTER TABLE relationships ADD COLUMN of_the_next_release int NOT NULL DEFAULT 0")
    op.execute("CREATE INDEX relationships_of_the_next_release ON relationships (of_the_next_release)")
'''


def next_release(folder: Path, *, oldest_worker: str) -> dict[str, str]:
    """The settings by which a process is one of the next release, whose schema admits workers from `oldest_worker` on."""
    package = folder / "relationship_worker"
    shutil.copytree(Path(relationship_worker.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    versions = package / "storage" / "migrations" / "versions"
    (versions / f"{NEXT}_next_release.py").write_text(_MIGRATION % oldest_worker, "utf-8")
    return {"PYTHONPATH": str(folder)}
