"""Rules on the code itself, read from its syntax tree. Each has a planted offence that it must find."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import PurePosixPath

import pytest

from .house import BELOW_INTERFACES, INTERFACES, PACKAGE, code_files, is_inside, package_of

LONGEST_MODULE = 600
LONGEST_FUNCTION = 70
MONEY = {"kernel", "ledger", "billing", "payments"}
MAY_ASK_THE_TIME = INTERFACES | {"site", "rehearsal", "jobs"}
DISCOMS = re.compile(r"(?<![a-z])(kesco|pvvnl|puvvnl|mvvnl|dvvnl|uperc)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Module:
    path: PurePosixPath
    source: str

    @property
    def package(self) -> str:
        return package_of(self.path)

    @property
    def is_test(self) -> bool:
        return is_inside(self.path, "tests")

    @cached_property
    def lines(self) -> list[str]:
        return self.source.splitlines()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.source)))


Offences = Iterator[tuple[int, str]]


def dotted(node: ast.AST) -> str:
    """`np.float64` for the attribute of that spelling; an unknown base is left out (`.now`)."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


# ── no float on money ──

FLOATING = (
    r"float\w*|double|longdouble|half|single|true_divide|divide|mean|average|std|var|median|percentile|quantile|around"
)
NUMPY_FLOATING = re.compile(rf"(np|numpy)\.({FLOATING})")
FLOAT_DTYPE = re.compile(r"[<>=|]?f[248]|float\d*|double")


def is_path(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def names_in_type_tests(module: Module) -> set[ast.AST]:
    """Names inside isinstance(…): a module may ask for a float in order to refuse it."""
    tests = (node for node in module.nodes if isinstance(node, ast.Call) and dotted(node.func) == "isinstance")
    return {name for test in tests for argument in test.args[1:] for name in ast.walk(argument)}


def floats(module: Module) -> Offences:
    allowed = names_in_type_tests(module)
    for node in module.nodes:
        match node:
            case ast.Constant(value=float() | complex()):
                yield node.lineno, f"float literal {node.value!r}"
            case ast.Constant(value=str() as text) if FLOAT_DTYPE.fullmatch(text):
                yield node.lineno, f"float dtype {text!r}"
            case ast.BinOp(op=ast.Div()) if not (is_path(node.left) or is_path(node.right)):
                yield node.lineno, "true division"
            case ast.AugAssign(op=ast.Div()) if not is_path(node.value):
                yield node.lineno, "true division"
            case ast.Name(id="float") if node not in allowed:
                yield node.lineno, "the type float"
            case ast.Call(func=ast.Name(id="round") | ast.Attribute(attr="round" | "mean")):
                yield node.lineno, "round() or mean()"
            case ast.Attribute() if NUMPY_FLOATING.fullmatch(dotted(node)) and dotted(node) != "np.floating":
                yield node.lineno, dotted(node)


# ── nobody asks the time ──

CLOCKS = re.compile(
    r"(\w*\.)*(datetime|date|timezone|dt)\.(now|today|utcnow|localdate)|time\.(time|time_ns|localtime|gmtime)"
)
CLOCK_CALLS = re.compile(r".*\.(now|today|utcnow|localdate)|(localdate|Now|TransactionNow)")


def clocks(module: Module) -> Offences:
    """Clock calls. A column may still note when its row was written, by the database: `db_default=Now()`."""
    noted = {node.value for node in module.nodes if isinstance(node, ast.keyword) and node.arg == "db_default"}
    for node in module.nodes:
        match node:
            case ast.Attribute() if CLOCKS.fullmatch(dotted(node)):
                yield node.lineno, dotted(node)
            case ast.Call(func=(ast.Attribute() | ast.Name()) as called) if node not in noted and CLOCK_CALLS.fullmatch(
                dotted(called)
            ):
                yield node.lineno, f"{dotted(called)}()"
            case ast.ImportFrom(module="time", names=names) if {"time", "time_ns"} & {name.name for name in names}:
                yield node.lineno, "from time import time"
            case ast.keyword(arg="auto_now" | "auto_now_add"):
                yield node.lineno, str(node.arg)


# ── no discom by name ──


def docstrings(module: Module) -> set[ast.AST]:
    """Strings that stand alone: prose, not code."""
    return {node.value for node in module.nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}


def words(node: ast.AST) -> str:
    """The identifier or text that this node alone carries."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.arg(arg=name) | ast.keyword(arg=str() as name):
            return name
    return ""


def discom_names(module: Module) -> Offences:
    prose = docstrings(module)
    for node in module.nodes:
        found = DISCOMS.search(words(node))
        if found and node not in prose:
            yield getattr(node, "lineno", 1), found.group()


# ── size, printing, imports ──


def lengths(module: Module) -> Offences:
    if len(module.lines) > LONGEST_MODULE:
        yield 1, f"a module of {len(module.lines)} lines"
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield node.lineno, f"{node.name}: a function of {length} lines"


def prints(module: Module) -> Offences:
    for node in module.nodes:
        if isinstance(node, ast.Call) and dotted(node.func) == "print":
            yield node.lineno, "print()"


def hidden_imports(module: Module) -> Offences:
    """Imports inside functions, unless the line or the one above says why: `# lazy: …`."""
    functions = [node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {node for function in functions for node in ast.walk(function)}
    for node in inside:
        if isinstance(node, ast.Import | ast.ImportFrom):
            said = module.lines[max(node.lineno - 2, 0) : node.end_lineno]
            if not any("# lazy:" in line for line in said):
                yield node.lineno, "an import inside a function"


SIGNALS = re.compile(r"django\.dispatch(\..*)?|django(\.\w+)*\.signals(\..*)?")


def signals(module: Module) -> Offences:
    for node in module.nodes:
        imported: list[str] = []
        if isinstance(node, ast.Import):
            imported = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
        if any(SIGNALS.fullmatch(name) for name in imported):
            yield getattr(node, "lineno", 1), "a Django signal"


# ── the table of rules ──


@dataclass(frozen=True)
class Rule:
    """One rule: what it looks for, where it holds, and texts that it must find and must let pass."""

    finds: Callable[[Module], Offences]
    holds_in: Callable[[Module], bool]
    planted: tuple[str, ...]
    innocent: str


RULES = {
    "no float, division or round() on money": Rule(
        finds=floats,
        holds_in=lambda module: module.package in MONEY and not module.is_test,
        planted=(
            "rate = 1.5",
            "share = paise / 2",
            "paise /= 2",
            "paise = round(amount)",
            "paise = amounts.round()",
            "x = amounts.astype(np.float64)",
            "x = np.mean(amounts)",
            "x = np.asarray(a, dtype='f8')",
            "def f(x: float) -> None: ...",
        ),
        innocent="if isinstance(x, (float, np.floating)): raise TypeError\ny = root / 'a.yaml'\nz = a // b",
    ),
    "nobody asks the time below the interfaces": Rule(
        finds=clocks,
        holds_in=lambda module: module.package not in MAY_ASK_THE_TIME and not is_inside(module.path, "migrations"),
        planted=(
            "day = date.today()",
            "at = datetime.datetime.now(tz)",
            "at = models.DateTimeField(default=timezone.now)",
            "at = models.DateTimeField(auto_now_add=True)",
            "at = time.time()",
            "from time import time",
            "day = localdate()",
            "rows.update(at=Now())",
        ),
        innocent=(
            "def due(*, today: date) -> date:\n    return today\nstart = time.monotonic()\nx = run.now\n"
            "at = DateTimeField(db_default=Now())"
        ),
    ),
    "no discom or regulator by name": Rule(
        finds=discom_names,
        holds_in=lambda module: (
            module.package != "rehearsal" and not module.is_test and not is_inside(module.path, "migrations")
        ),
        planted=("if discom == 'KESCO': pass", "def uperc_rate(): ...", "PATH = 'tariffs/uperc'", "KESCO = 1"),
        innocent='"""As KESCO does."""\n# PVVNL too\nname = "company"',
    ),
    "nothing prints below the interfaces": Rule(
        finds=prints,
        holds_in=lambda module: module.package in BELOW_INTERFACES and not module.is_test,
        planted=("print('done')",),
        innocent="progress.print('done')",
    ),
    "functions fit a screen and modules a few": Rule(
        finds=lengths,
        holds_in=lambda module: not is_inside(module.path, "migrations"),
        planted=("x = 1\n" * (LONGEST_MODULE + 1), "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION),
        innocent="def f():\n" + "    x = 1\n" * (LONGEST_FUNCTION - 1),
    ),
    "imports stand at the top, or say why not": Rule(
        finds=hidden_imports,
        holds_in=lambda module: module.package in BELOW_INTERFACES and not module.is_test,
        planted=("def f():\n    import pyarrow",),
        innocent="def f():\n    # lazy: half a second\n    import pyarrow\n    import numpy  # lazy: as well",
    ),
    "no Django signals": Rule(
        finds=signals,
        holds_in=lambda module: True,
        planted=(
            "from django.dispatch import receiver",
            "from django.db.models.signals import post_save",
            "from django.db.models import signals",
            "import django.core.signals",
        ),
        innocent="import signal\nfrom django.db import models",
    ),
}


@cache
def modules() -> tuple[Module, ...]:
    files = (path for path in code_files() if path.suffix == ".py")
    return tuple(Module(path, (PACKAGE / path).read_text(encoding="utf-8")) for path in files)


@pytest.mark.parametrize("name", RULES)
def test_the_code_keeps(name: str) -> None:
    rule = RULES[name]
    held = [module for module in modules() if rule.holds_in(module)]
    assert held, "the rule holds nowhere: nothing was checked"
    found = [f"{module.path}:{line}: {what}" for module in held for line, what in sorted(rule.finds(module))]
    assert found == []


@pytest.mark.parametrize(("name", "planted"), [(name, text) for name, rule in RULES.items() for text in rule.planted])
def test_a_planted_offence_is_found(name: str, planted: str) -> None:
    assert list(RULES[name].finds(Module(PurePosixPath("kernel/planted.py"), planted))) != []


@pytest.mark.parametrize("name", RULES)
def test_innocent_code_passes(name: str) -> None:
    assert list(RULES[name].finds(Module(PurePosixPath("kernel/innocent.py"), RULES[name].innocent))) == []


@pytest.mark.parametrize(
    ("name", "path", "holds"),
    [
        ("no float, division or round() on money", "kernel/rating.py", True),
        ("no float, division or round() on money", "display/charts.py", False),
        ("nobody asks the time below the interfaces", "billing/operations.py", True),
        ("nobody asks the time below the interfaces", "commands/main.py", False),
        ("no discom or regulator by name", "commands/main.py", True),
        ("no discom or regulator by name", "discoms/migrations/0001_initial.py", False),
        ("nothing prints below the interfaces", "jobs/operations.py", True),
        ("nothing prints below the interfaces", "commands/main.py", False),
    ],
)
def test_a_rule_holds_where_it_should(name: str, path: str, holds: bool) -> None:
    assert RULES[name].holds_in(Module(PurePosixPath(path), "")) is holds
