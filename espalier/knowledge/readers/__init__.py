"""Readers of documents that are not text: PDF, DOCX, PPTX, XLSX and HWPX, each in a file of its own.

What a file is, its content decides; a suffix that says otherwise is told. Office and HWPX documents are archives of
XML and need no package; PDF is read by PDFium.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from espalier.errors import RowError
from espalier.knowledge.readers import docx, hwpx, pdf, pptx, xlsx
from espalier.knowledge.readers.archive import Archive
from espalier.knowledge.readers.office import main_part
from espalier.knowledge.readers.writer import Extract

PDF = "a PDF document"
SUFFIXES = {
    ".pdf": PDF,
    ".docx": "a Word document", ".docm": "a Word document", ".dotx": "a Word document",
    ".pptx": "a presentation", ".pptm": "a presentation", ".ppsx": "a presentation", ".potx": "a presentation",
    ".xlsx": "a workbook", ".xlsm": "a workbook", ".xltx": "a workbook",
    ".hwpx": "a Hangul document",
}  # fmt: skip

_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # begins old Office and HWP documents, and encrypted new ones
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OFFICE: dict[str, tuple[str, Callable[[Archive, str], Extract]]] = {  # by the folder of the main part
    "word": ("a Word document", docx.read),
    "ppt": ("a presentation", pptx.read),
    "xl": ("a workbook", xlsx.read),
}


def read(data: bytes, name: str, suffix: str) -> Extract | None:
    """What a document holds; None if it is none of these kinds and does not claim to be.

    Args:
        data: the whole file.
        name: what it is called in the sentence of an error.
        suffix: of its name, in lower case.

    Raises:
        RowError: it cannot be read, or is not what its suffix says.
    """
    claimed = SUFFIXES.get(suffix, "")
    if data.startswith(b"%PDF-") or (claimed == PDF and b"%PDF-" in data[:1024]):
        kind, found = PDF, pdf.read(data, name)
    elif data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        kind, found = _read_archive(Archive(data, name))
    elif data.startswith(_OLD):
        if _ENCRYPTED in data:
            raise RowError(f"{name} is protected by a password; save it without one.")
        raise RowError(f"{name} is an old Office or HWP document; save it as .docx, .pptx, .xlsx, .hwpx or PDF first.")
    elif claimed:
        raise RowError(f"{name} is not {claimed}, whatever its name says; it is damaged or needs its right suffix.")
    else:
        return None
    if not found.text.strip():
        raise RowError(f"{name} holds no text.")
    if kind != claimed:
        return Extract(found.title, found.text, found.places, (*found.notes, f"read as {kind}"))
    return found


def _read_archive(archive: Archive) -> tuple[str, Extract]:
    if hwpx.MAIN in archive:
        return SUFFIXES[".hwpx"], hwpx.read(archive)
    main = main_part(archive)
    folder = PurePath(main).parts[0] if main else ""
    if folder not in _OFFICE:
        raise RowError(f"{archive.name} is an archive without a document that can be read; unpack it into the folder.")
    kind, reader = _OFFICE[folder]
    return kind, reader(archive, main)
