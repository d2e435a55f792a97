"""`make bench`: one table of speeds and ratios, all measured in this run."""

import argparse
import importlib
import importlib.util
import sys
import time

MODULES = ("kernel", "runs", "meterdays", "intake", "paper", "counter", "numbers", "moving", "first_screen")


def main() -> int:
    """0 if every target is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"some of {', '.join(MODULES)}; default all")
    parser.add_argument("--accounts", nargs="+", type=int, metavar="N", help="moving: how many; several: only loaded")
    given = parser.parse_args()
    chosen = given.modules or MODULES
    if given.accounts and chosen != ["moving"]:
        parser.error("--accounts says how many move: python -m tests.bench moving --accounts 50000 200000 700000")
    asked = {"accounts": given.accounts} if given.accounts else {}
    met, began = True, time.perf_counter()
    sys.stdout.write(f"{'':<66} {'measured':>12} {'':<16} {'target':>8}\n")
    for module in chosen:
        if importlib.util.find_spec(f"tests.bench.{module}") is None:
            continue
        for name, value, unit, target, ok in importlib.import_module(f"tests.bench.{module}").rows(**asked):
            met &= ok
            wanted = "" if target is None else f"{target:>8,.3g}  {'ok' if ok else 'MISSED'}"
            shown = f"{value:>12,.3f} {unit:<16} {wanted}" if unit else ""
            sys.stdout.write(f"{name:<66} {shown}".rstrip() + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{'all targets met' if met else 'a target was missed'}, {time.perf_counter() - began:.0f} s\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
