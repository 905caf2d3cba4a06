"""XMP packets: properties as flat ``prefix:Name`` texts, read as a stream under limits.

Entities and DTDs are refused by defusedxml. Property names are taken by namespace, not by the prefix in the file
(Midjourney writes ``iptcExt``, everyone else ``Iptc4xmpExt``).
Source: ISO 16684-1 (XMP part 1) section 7; namespaces as published by Adobe, IPTC and TC260.
"""

from __future__ import annotations

from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from detectors.metadata.fields import FieldCollector, Layer

MAX_XMP_BYTES = 2 * 1024 * 1024
"""Packet size: a packet in one JPEG segment has at most 65 kB, extended ones with depth maps some MB (not needed)."""
MAX_DEPTH = 64
"""Nested elements: a deep Lightroom history has about 12."""
MAX_ELEMENTS = 20_000
"""Elements per packet; expat needs about 10 ms for these."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SKIPPED = frozenset({_RDF, "adobe:ns:meta/", "http://www.w3.org/XML/1998/namespace"})
PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#": "stEvt",
    "http://ns.adobe.com/xap/1.0/sType/ResourceRef#": "stRef",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "crs",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.useplus.org/ldf/xmp/1.0/": "plus",
    "http://www.tc260.org.cn/ns/AIGC/1.0/": "TC260",
}


class _LimitError(ValueError):
    """The packet is deeper or larger than the limits."""


class _Properties:
    """expat target: keeps the text and attributes of every element that is not RDF scaffolding."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._names: list[str | None] = []
        self._texts: list[list[str]] = []
        self._elements = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Enter an element and file its attributes."""
        self._elements += 1
        if len(self._names) >= MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise _LimitError(f"more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements")
        self._names.append(_property_name(tag))
        self._texts.append([])
        for name, value in attributes.items():
            attribute = _property_name(name)
            if attribute is not None:
                self.found.append((attribute, value))
            elif name == f"{{{_RDF}}}resource":
                self._keep(value)

    def data(self, text: str) -> None:
        """Keep a piece of text for the innermost element."""
        if self._texts:
            self._texts[-1].append(text)

    def end(self, tag: str) -> None:
        """File the element's text and leave it."""
        self._keep("".join(self._texts.pop()).strip())
        self._names.pop()

    def close(self) -> None:
        """End of the packet."""

    def _keep(self, text: str) -> None:
        """File a text under the innermost property that encloses it."""
        name = next((name for name in reversed(self._names) if name is not None), None)
        if text and name is not None:
            self.found.append((name, text))


def _property_name(qualified: str) -> str | None:
    """Return ``prefix:Name`` for ``{uri}Name``, or None for RDF and XML scaffolding."""
    uri, found, local = qualified.removeprefix("{").partition("}")
    if not found or uri in _SKIPPED:
        return None
    if uri.startswith("http://www.tc260.org.cn/ns/AIGC"):
        return f"TC260:{local}"
    if "github.com/comfy" in uri.casefold():
        return f"comfy:{local}"
    prefix = PREFIXES.get(uri)
    return f"{prefix}:{local}" if prefix else f"{uri[:150]}:{local}"


def read_xmp(packet: bytes, where: str, out: FieldCollector) -> None:
    """Collect every property of an XMP packet; what was read before an error is kept and the error noted."""
    if not out.admit(Layer.XMP, where):
        return
    if len(packet) > MAX_XMP_BYTES:
        out.fail(where, f"longer than {MAX_XMP_BYTES} bytes")
        return
    target = _Properties()
    try:
        parser = DefusedXMLParser(target=target, forbid_dtd=True)
        parser.feed(packet.strip(b"\x00 \t\r\n"))
        parser.close()
    except _LimitError as exc:
        out.fail(where, str(exc))
    except DefusedXmlException:
        out.fail(where, "declares a DTD or entities, which are refused")
    except (ParseError, ValueError, LookupError):
        out.fail(where, "not well-formed XML")
    for name, text in target.found:
        if out.full:
            break
        out.add(Layer.XMP, name, text, f"{where} {name}")
