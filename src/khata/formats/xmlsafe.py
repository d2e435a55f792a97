"""XML from outside, read piece by piece in flat memory: no DOCTYPE, no entities, and a cap on everything that can grow.

Only UTF-8. What is handed on are the children of the root, one complete small tree after the other.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

from khata.formats.text import FormatError

DEEPEST = 40
LONGEST_TEXT = 64 << 10
MOST_ATTRIBUTES = 32
MOST_INSTRUCTIONS = 8
MOST_NODES = 500_000  # of one tree
MOST_IDLE_NODES = 100_000  # one after the other, without one that is awaited
LARGEST_TOKEN = 1 << 20  # a tag, a comment

_PIECE = 64 << 10
_CUT_OFF = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)


class CutOffError(Exception):
    """The file ends before its root does."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(slots=True)
class Node:
    """`name` without its namespace; `text` is what stands directly in it, blanks between elements left out."""

    name: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def child(self, name: str) -> "Node | None":
        return next((child for child in self.children if child.name == name), None)

    def said(self, *path: str) -> str | None:
        """The text at the end of a path of names, None where there is none."""
        node: Node | None = self
        for name in path:
            node = node.child(name) if node else None
        return node.text.strip() if node else None


def trees(file: BinaryIO, *, container: str, spaces: tuple[str, ...], awaited: str = "") -> Iterator[Node]:
    """The children of the root where it is a `container`, else the root, each as it ends. Where `awaited` names an
    element, a file without it is refused before all of it is read.

    Elements of other namespaces than `spaces` have the name "". FormatError where it is not XML or is not safe,
    CutOffError after the last complete tree where the file ends too early.
    """
    builder = _Builder(container, spaces, awaited)
    fed = 0
    while piece := file.read(_PIECE):
        fed += len(piece)
        builder.feed(piece)
        if fed - builder.parser.CurrentByteIndex > LARGEST_TOKEN:
            builder.refuse(f"a tag or comment is longer than {LARGEST_TOKEN >> 20} MiB")
        while builder.done:
            yield builder.done.popleft()
    cut = builder.close()
    yield from builder.done
    if cut:
        raise CutOffError(builder.parser.CurrentLineNumber)


class _Builder:
    def __init__(self, container: str, spaces: tuple[str, ...], awaited: str) -> None:
        self.container, self.spaces, self.awaited = container, spaces, awaited
        self.open: list[Node] = []
        self.done: deque[Node] = deque()
        self.nodes = self.instructions = self.idle = 0
        self.begun = False
        self.parser: Any = expat.ParserCreate("utf-8", " ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.ProcessingInstructionHandler = self._instruction
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._doctype

    def feed(self, piece: bytes) -> None:
        try:
            self.parser.Parse(piece, False)
        except expat.ExpatError as error:
            self._no_xml(error)

    def close(self) -> bool:
        """Whether the file was cut off."""
        try:
            self.parser.Parse(b"", True)
        except expat.ExpatError as error:
            if self.begun and error.code in _CUT_OFF:
                return True
            self._no_xml(error)
        return False

    def refuse(self, wrong: str) -> NoReturn:
        raise FormatError(wrong, line=self.parser.CurrentLineNumber, next_step="Ask the sender for a plain feed")

    def _no_xml(self, error: expat.ExpatError) -> NoReturn:
        wrong = f"this is not well-formed XML: {expat.errors.messages.get(error.code, 'it cannot be read')}"
        raise FormatError(wrong, line=error.lineno, next_step="Send the file as the sender's system made it, in UTF-8")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.begun = True
        if len(self.open) >= DEEPEST:
            self.refuse(f"the elements are nested more than {DEEPEST} deep")
        if len(attributes) > MOST_ATTRIBUTES or sum(map(len, attributes.values())) > LONGEST_TEXT:
            self.refuse("an element has too many attributes, or too long ones")
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self.refuse(f"one entry has more than {MOST_NODES} elements")
        space, _, local = name.rpartition(" ")
        self.idle = 0 if local == self.awaited else self.idle + 1
        if self.awaited and self.idle > MOST_IDLE_NODES:
            self.refuse(f"{MOST_IDLE_NODES:,} elements without one {self.awaited}")
        node = Node(local if space in self.spaces else "", attributes, self.parser.CurrentLineNumber)
        if self.open and not (len(self.open) == 1 and self._contains()):
            self.open[-1].children.append(node)
        self.open.append(node)

    def _contains(self) -> bool:
        return self.open[0].name == self.container

    def _end(self, _name: str) -> None:
        node = self.open.pop()
        if not self.open:
            if node.name != self.container:
                self.done.append(node)
        elif len(self.open) == 1 and self._contains():
            self.done.append(node)
            self.nodes = 0

    def _text(self, text: str) -> None:
        if text.isspace():
            return
        node = self.open[-1]
        if len(node.text) + len(text) > LONGEST_TEXT:
            self.refuse(f"a text is longer than {LONGEST_TEXT >> 10} KiB")
        node.text += text

    def _instruction(self, _target: str, _content: str) -> None:
        self.instructions += 1
        if self.instructions > MOST_INSTRUCTIONS:
            self.refuse("there are too many processing instructions")

    def _doctype(self, *_: object) -> None:
        self.refuse("the file has a DOCTYPE or declares an entity, which is not safe to read")
