"""A worker on a full disk: its log can't be written, nor a temporary file: `python -m system.full_disk_worker run`."""

import os
import sys

from relationship_worker.cli import main

FULL = "/dev/full"  # each write fails, as on a disk without room

if __name__ == "__main__":
    os.environ["TMPDIR"] = FULL
    os.dup2(os.open(FULL, os.O_WRONLY), sys.stderr.fileno())
    main()
