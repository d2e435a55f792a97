"""`khata database migrate|companies`: makes or renews the tables, as the role that owns them; brings in companies."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import yaml
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from khata.commands.errors import CommandError
from khata.discoms.models import Discom
from khata.discoms.operations import install_companies
from khata.discoms.queries import COMPANIES
from khata.ledger.operations import open_books

NO_TABLES = "the database has no tables yet"
_MIGRATE = [sys.executable, "-m", "django", "migrate", "--no-input"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="migrate|companies")
    migrate = verbs.add_parser("migrate", help="make or renew the tables", allow_abbrev=False)
    migrate.add_argument("--quiet", action="store_true", help="say only what goes wrong")
    brought = "write companies, circles and divisions of a file and open their books; what is there stays"
    companies = verbs.add_parser("companies", help=brought, allow_abbrev=False)
    companies.add_argument("--file", type=Path, default=COMPANIES, help="default: Uttar Pradesh's")


def run(args: argparse.Namespace) -> int:
    return _companies(args.file) if args.verb == "companies" else _migrate(quiet=args.quiet)


def _companies(file: Path) -> int:
    try:
        with transaction.atomic():
            install_companies(file=file)
            companies = list(Discom.objects.order_by("id"))
            for each in companies:
                open_books(discom=each)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as wrong:
        next_step = "Write it like companies.yaml beside khata.discoms"
        raise CommandError(f"no companies can be read: {type(wrong).__name__} {wrong}", str(file), next_step) from None
    sys.stdout.write(f"{len(companies)} companies with open books: {', '.join(each.code for each in companies)}\n")
    return 0


def _migrate(*, quiet: bool) -> int:
    # A process has one role for its life (docs/adr/0005), and this one must be the owner: hence another process.
    environment = {**os.environ, "KHATA_ROLE": "owner", "DJANGO_SETTINGS_MODULE": "khata.site.settings"}
    sys.stdout.flush()
    result = subprocess.run([*_MIGRATE, "--verbosity", "0" if quiet else "1"], env=environment, check=False)
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
