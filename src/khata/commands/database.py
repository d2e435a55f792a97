"""`khata database migrate`: makes or renews the tables, as the role that owns them."""

import argparse
import os
import subprocess
import sys

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

NO_TABLES = "the database has no tables yet"
_MIGRATE = [sys.executable, "-m", "django", "migrate", "--no-input"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="migrate")
    migrate = verbs.add_parser("migrate", help="make or renew the tables", allow_abbrev=False)
    migrate.add_argument("--quiet", action="store_true", help="say only what goes wrong")


def run(args: argparse.Namespace) -> int:
    # A process has one role for its life (docs/adr/0005), and this one must be the owner: hence another process.
    environment = {**os.environ, "KHATA_ROLE": "owner", "DJANGO_SETTINGS_MODULE": "khata.site.settings"}
    sys.stdout.flush()
    result = subprocess.run([*_MIGRATE, "--verbosity", "0" if args.quiet else "1"], env=environment, check=False)
    return 1 if result.returncode else 0


def wanting() -> str | None:
    """What the database lacks of this Khata's tables, in words; None if it has them all."""
    connection.close()  # whatever failed before may have left it in a transaction that takes no statement
    executor = MigrationExecutor(connection)
    if not executor.loader.applied_migrations:
        return NO_TABLES
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return "the tables of the database are older than this Khata"
    return None
