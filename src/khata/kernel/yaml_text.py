"""YAML as text only: every scalar stays the characters that were written, every node knows its line.

Ordinary loading is unsafe for tariffs: `22:00` becomes 1320, `no` becomes false, `4.20` a float, and a
repeated key silently wins. Here repeated keys, anchors, aliases, tags and unknown keys are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

# The same parser in C where PyYAML was built with it: ten times quicker.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class OrderError(ValueError):
    """A tariff file cannot be used: which file, line and clause, what is wrong, what to do."""

    def __init__(self, file: str, line: int, clause: str, what: str, next_step: str) -> None:
        self.file, self.line, self.clause, self.what, self.next_step = file, line, clause, what, next_step
        super().__init__(f"{file}, line {line}, {clause or 'top'}: {what}. {next_step}")


@dataclass
class Node:
    """One value of the file. `take` marks keys as read; `done` refuses the ones nobody read."""

    file: str
    line: int
    clause: str
    value: str | list[Node] | dict[str, Node]
    taken: set[str] = field(default_factory=set)

    def error(self, what: str, next_step: str) -> OrderError:
        return OrderError(self.file, self.line, self.clause, what, next_step)

    @property
    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.error("one value is wanted here", "Write it on one line after the colon")
        return self.value

    @property
    def items(self) -> list[Node]:
        if not isinstance(self.value, list):
            raise self.error("a list is wanted here", "Write [a, b] or lines that begin with a dash")
        return self.value

    @property
    def keys(self) -> dict[str, Node]:
        if not isinstance(self.value, dict):
            raise self.error("named values are wanted here", "Write them as key: value")
        return self.value

    def take(self, key: str) -> Node:
        node = self.take_if(key)
        if node is None:
            raise self.error(f"the key {key!r} is missing", f"Add {key}: to this clause")
        return node

    def take_if(self, key: str) -> Node | None:
        self.taken.add(key)
        return self.keys.get(key)

    def done(self) -> None:
        for key, node in self.keys.items():
            if key not in self.taken:
                known = ", ".join(sorted(self.taken))
                raise node.error(f"the key {key!r} is not known here", f"Known keys are: {known}")


def parse(file: str, text: str) -> Node:
    """The file as a tree of text nodes; raises OrderError."""
    if text.startswith("\ufeff"):
        text = text[1:]
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise OrderError(
                    file,
                    event.start_mark.line + 1 if event.start_mark else 1,
                    "",
                    "anchors, aliases and tags are not allowed",
                    "Write the value out: an order reprints its whole schedule, so does its file",
                )
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(broken, "problem", None) or str(broken)
        raise OrderError(file, line, "", f"this is not YAML: {problem}", "Mend the line and check again") from broken
    if root is None:
        raise OrderError(file, 1, "", "the file is empty", "Begin with order: or amendment:")
    return _node(file, "", root)


def _node(file: str, clause: str, raw: yaml.Node) -> Node:
    line = raw.start_mark.line + 1
    if isinstance(raw, yaml.ScalarNode):
        return Node(file, line, clause, str(raw.value))
    if isinstance(raw, yaml.SequenceNode):
        return Node(file, line, clause, [_node(file, _name(clause, i, item), item) for i, item in enumerate(raw.value)])
    keys: dict[str, Node] = {}
    for key, value in raw.value:
        name, at = str(key.value), key.start_mark.line + 1
        if name in keys:
            raise OrderError(file, at, clause, f"the key {name!r} stands twice", "Keep the one that the order prints")
        keys[name] = _node(file, f"{clause}.{name}" if clause else name, value)
        keys[name].line = at
    return Node(file, line, clause, keys)


def _name(clause: str, position: int, item: yaml.Node) -> str:
    """A list item is called by its own id or name, so that an error reads `schedules.LMV-1 urban.lines.fixed`."""
    for key, value in _pairs(item):
        if key.value in ("id", "name") and isinstance(value, yaml.ScalarNode):
            return f"{clause}.{value.value}"
    return f"{clause}[{position + 1}]"


def _pairs(item: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    if isinstance(item, yaml.MappingNode):
        yield from item.value
