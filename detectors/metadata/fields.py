"""Texts found in a file's metadata, as values, and the budget under which they are collected.

::

    bytes -> readers (PNG, JPEG, WebP, EXIF, XMP, IPTC, ...) -> FieldCollector -> EmbeddedFields -> parsers

Everything here is untrusted text: it is cut to length, never evaluated, never logged, and shown only through
``detectors.metadata.text.visible``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from detectors.metadata.json_values import parse_object

MAX_TEXT_BYTES = 2 * 1024 * 1024
"""Longest single text, also after decompression: the largest of 23 handed workflows is 72 kB (measured); workflows with
embedded pictures reach about 1 MB. Because the output of inflate is bounded by this, its ratio needs no limit."""
MAX_TOTAL_BYTES = 4 * 1024 * 1024
"""All texts of one file together: two of the longest; more is an attack on the reader, not a record."""
MAX_FIELDS = 1024
"""Texts per file: an Adobe XMP packet with a long edit history has 200-600 properties."""
MAX_UNREADABLE = 32
"""Notes on blocks that could not be read; a damaged file would otherwise fill the report."""


class Layer(StrEnum):
    """The kind of metadata block in which a text was found."""

    TEXT_CHUNK = "text chunk"
    EXIF = "EXIF"
    XMP = "XMP"
    IPTC = "IPTC-IIM"
    COMMENT = "comment"
    HIDDEN = "hidden pixel text"
    CREDENTIAL = "content credential"


MAX_BLOCKS: Mapping[Layer, int] = MappingProxyType(
    {Layer.TEXT_CHUNK: 256, Layer.EXIF: 8, Layer.XMP: 8, Layer.IPTC: 8, Layer.COMMENT: 64, Layer.CREDENTIAL: 8}
)
"""Blocks of one kind that are opened per file: Easy Diffusion writes 20 text chunks, all others have one or two. Bounds
the work on files that repeat a small block that is expensive to open."""
MAX_SAME_KEY = 64
"""Texts returned for one key: an edit history repeats its software name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataField:
    """One text.

    Attributes:
        layer: kind of block.
        key: PNG keyword, EXIF tag name, XMP ``prefix:Name`` or IPTC dataset name.
        text: the text as stored, untrusted, at most MAX_TEXT_BYTES characters.
        where: for people, e.g. ``PNG tEXt parameters``.
        record: the JSON object that the text is, or None; parsed once here because many parsers ask for it.
    """

    layer: Layer
    key: str
    text: str
    where: str
    record: dict[str, object] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A metadata block that is present but could not be read, and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedFields:
    """Every text of a file's metadata.

    Attributes:
        fields: in file order.
        unreadable: what is present but broken or over a limit.
    """

    fields: tuple[MetadataField, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def get(self, layer: Layer, key: str) -> MetadataField | None:
        """Return the first text under a key (letter case ignored), or None."""
        return next(iter(self.all(layer, key)), None)

    def all(self, layer: Layer, key: str) -> list[MetadataField]:
        """Return the texts under a key (letter case ignored), in file order, at most MAX_SAME_KEY."""
        wanted = key.casefold()
        return [f for f in self.fields if f.layer is layer and f.key.casefold() == wanted][:MAX_SAME_KEY]

    def named(self, key: str) -> MetadataField | None:
        """Return the first text chunk under a keyword, or the same keyword from text hidden in pixels, or None."""
        return self.get(Layer.TEXT_CHUNK, key) or self.get(Layer.HIDDEN, key)

    def select(self, slots: Iterable[tuple[Layer, str]]) -> list[MetadataField]:
        """Return the texts of several (layer, key) slots, slot by slot."""
        return [found for layer, key in slots for found in self.all(layer, key)]


@dataclass(slots=True)
class FieldCollector:
    """Gathers texts under the limits above; what goes over them becomes a note, never an error."""

    _fields: list[MetadataField] = field(default_factory=list)
    _unreadable: list[Unreadable] = field(default_factory=list)
    _opened: dict[Layer, int] = field(default_factory=dict)
    _budget: int = MAX_TOTAL_BYTES

    @property
    def full(self) -> bool:
        """Return whether a limit on the whole file is reached; readers stop then."""
        return self._budget <= 0 or len(self._fields) >= MAX_FIELDS

    def admit(self, layer: Layer, where: str) -> bool:
        """Return whether one more block of this kind may be opened, and count it."""
        count = self._opened.get(layer, 0) + 1
        self._opened[layer] = count
        if self.full or count > MAX_BLOCKS[layer]:
            self.fail(where, f"not opened: the file is over a limit ({MAX_BLOCKS[layer]} blocks of this kind)")
            return False
        return True

    def add(self, layer: Layer, key: str, text: str, where: str) -> None:
        """Keep a text, cut to MAX_TEXT_BYTES; empty texts are dropped."""
        if not text:
            return
        if len(self._fields) >= MAX_FIELDS:
            self.fail(where, f"more than {MAX_FIELDS} texts")
            return
        if len(text) > MAX_TEXT_BYTES:
            self.fail(where, f"longer than {MAX_TEXT_BYTES} characters; the rest was not read")
            text = text[:MAX_TEXT_BYTES]
        if len(text) > self._budget:
            self.fail(where, f"all texts together exceed {MAX_TOTAL_BYTES} characters")
            self._budget = 0
            return
        self._budget -= len(text)
        self._fields.append(
            MetadataField(layer=layer, key=key[:256], text=text, where=where, record=parse_object(text))
        )

    def fail(self, where: str, reason: str) -> None:
        """Note that a block is present but unreadable; the same note is kept once."""
        note = Unreadable(where=where, reason=reason)
        if len(self._unreadable) < MAX_UNREADABLE and note not in self._unreadable:
            self._unreadable.append(note)

    def result(self) -> EmbeddedFields:
        """Return what was gathered."""
        return EmbeddedFields(fields=tuple(self._fields), unreadable=tuple(self._unreadable))
