"""`khata bench [NAME …]`: a table of speeds and ratios, measured in this run. Ends with 1 if a target was missed."""

import argparse
import subprocess
import sys

from khata.commands.testing import repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these: kernel, runs, meterdays")


def run(args: argparse.Namespace) -> int:
    done = subprocess.run([sys.executable, "-m", "tests.bench", *args.names], cwd=repository(), check=False)
    return 1 if done.returncode else 0
