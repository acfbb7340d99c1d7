"""ZIP archives of XML, which Office and HWPX documents are, read within limits that a hostile file cannot pass."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from espalier.errors import RowError

ENTRIES = 20_000
BYTES = 500_000_000  # that all parts together unpack to
RATIO = 250  # of unpacked to packed, looked at above `SMALL`; the text of Office documents reaches about 50
SMALL = 10_000_000  # bytes
DEPTH = 200  # of elements in elements

_PIECE = 1 << 16
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, UnicodeError, ValueError)


class Archive:
    """The parts of one document. What is inside is never unpacked to disk, nor an archive inside an archive opened."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name, self._size, self._read = name, len(data), 0
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as problem:
            raise RowError(f"{name} is damaged: its archive cannot be opened ({problem}).") from problem
        if len(self._zip.infolist()) > ENTRIES:
            raise RowError(f"{name} has more than {ENTRIES:,} parts, as no document has; it is not read.")

    def __contains__(self, part: str) -> bool:
        return part in self._zip.NameToInfo

    def names(self) -> list[str]:
        """The names of all parts."""
        return self._zip.namelist()

    def read(self, part: str) -> bytes:
        """One part, whole."""
        return b"".join(self._pieces(part))

    def children(self, part: str, parent: str) -> Iterator[Element]:
        """Every element of an XML part whose parent has the name given, whole, one in memory at a time.

        Names are without their namespace; an attribute of the namespace of relationships begins with "r:".
        """
        tree = _Children(parent, self.name)
        parser = ElementTree.XMLParser(target=tree)
        try:
            for piece in self._pieces(part):
                parser.feed(piece)
                yield from tree.taken()
            parser.close()
        except ElementTree.ParseError as problem:
            raise RowError(f"{self.name} is damaged: {part} inside it is not valid XML ({problem}).") from problem
        yield from tree.taken()

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """What an Office part, or with "" the whole, refers to: by id, the kind ("slide") and the part's name."""
        folder, file = posixpath.split(part)
        where = posixpath.join(folder, "_rels", f"{file}.rels")
        found = self.children(where, "Relationships") if where in self else iter(())
        return {
            each.get("Id", ""): (each.get("Type", "").rpartition("/")[2], _resolved(folder, each.get("Target", "")))
            for each in found
        }

    def _pieces(self, part: str) -> Iterator[bytes]:
        if part not in self:
            raise RowError(f"{self.name} is damaged: {part} is missing inside it.")
        info = self._zip.getinfo(part)
        if info.flag_bits & 1:
            raise RowError(f"{self.name} is protected by a password; save it without one.")
        try:
            with self._zip.open(info) as file:
                while piece := file.read(_PIECE):
                    self._read += len(piece)
                    if self._read > BYTES or self._read > max(SMALL, RATIO * self._size):
                        raise RowError(
                            f"{self.name} unpacks to more than {self._read / 1e6:,.0f} MB from {self._size / 1e6:,.1f}"
                            " MB, as no honest document does; it is not read."
                        )
                    yield piece
        except _BROKEN as problem:
            if isinstance(problem, RowError):
                raise
            raise RowError(f"{self.name} is damaged: {part} inside it cannot be unpacked ({problem}).") from problem


def _resolved(folder: str, target: str) -> str:
    return target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))


class _Children:
    """Builds the elements below every element of one name, and hands them over one by one."""

    def __init__(self, parent: str, name: str) -> None:
        self._parent, self._name = parent, name
        self._depth = self._inside = 0  # depth now, and that of the parent if we are in one
        self._builder = ElementTree.TreeBuilder()
        self._done: list[Element] = []

    def taken(self) -> list[Element]:
        done, self._done = self._done, []
        return done

    def doctype(self, *_: str | None) -> None:
        raise RowError(f"{self._name} declares XML entities, as no document of its kind does; it is not read.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise RowError(f"{self._name} is nested more than {DEPTH} deep, as no document is; it is not read.")
        if self._inside:
            self._builder.start(_local(tag), {_attribute(key): value for key, value in attributes.items()})
        elif _local(tag) == self._parent:
            self._inside = self._depth

    def data(self, text: str) -> None:
        if self._inside and self._depth > self._inside:
            self._builder.data(text)

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._depth < self._inside:
            self._inside = 0
        elif self._inside:
            self._builder.end(_local(tag))
            if self._depth == self._inside:
                self._done.append(self._builder.close())
                self._builder = ElementTree.TreeBuilder()

    def close(self) -> None:
        return


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _attribute(name: str) -> str:
    space, _, local = name.rpartition("}")
    return f"r:{local}" if space.endswith("/relationships") else local
