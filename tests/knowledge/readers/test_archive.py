import io
import struct
import zipfile

import pytest

from espalier.errors import RowError
from espalier.knowledge.readers import archive as module
from espalier.knowledge.readers.archive import Archive
from tests.data.documents.build import relations, zipped


def children(xml, parent="body"):
    return list(Archive(zipped({"a.xml": xml}), "a.docx").children("a.xml", parent))


def test_children_come_whole_and_without_namespaces():
    found = children(
        '<w:x xmlns:w="urn:w"><w:p/><w:body>out<w:p w:k="v">one<w:b>two</w:b></w:p>out<w:q/></w:body></w:x>'
    )
    assert [(each.tag, dict(each.attrib), "".join(each.itertext())) for each in found] == [
        ("p", {"k": "v"}, "onetwo"), ("q", {}, ""),
    ]  # fmt: skip
    assert [each.tag for each in children("<a><body><p><body/></p></body><body><q/></body></a>")] == ["p", "q"]
    related = 'xmlns:r="http://x/relationships"'
    assert children(f'<body {related}><p id="1" r:id="2"/></body>')[0].attrib == {"id": "1", "r:id": "2"}


def test_relations_lead_to_parts():
    parts = {"a/b.xml": "", "a/_rels/b.xml.rels": relations(x=("slide", "../c.xml"), y=("notes", "/d.xml"))}
    opened = Archive(zipped(parts), "a")
    assert opened.related("a/b.xml") == {"x": ("slide", "c.xml"), "y": ("notes", "d.xml")}
    assert opened.related("none.xml") == {}


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><body><p>&b;</p></body>'


@pytest.mark.parametrize(
    ("xml", "sentence"),
    [
        (BOMB, "declares XML entities"),
        (BOMB.encode("utf-16"), "declares XML entities"),
        ("<body><p>" + "<b>" * 300, "is nested more than 200 deep"),
        ("<body><p></body>", "a.xml inside it is not valid XML"),
        ("<body><p>", "a.xml inside it is not valid XML"),
        (b"\xff\xff", "a.xml inside it is not valid XML"),
    ],
)
def test_xml_that_is_broken_or_hostile_is_refused(xml, sentence):
    with pytest.raises(RowError, match=rf"^a\.docx .*{sentence}"):
        children(xml)


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch):
    bomb = Archive(zipped({"a.xml": b"<body>" + b" " * 12_000_000}), "a.docx")
    with pytest.raises(RowError, match=r"^a\.docx unpacks to more than 10 MB from 0\.0 MB, as no honest document does"):
        bomb.read("a.xml")
    monkeypatch.setattr(module, "BYTES", 100_000)
    many = Archive(zipped({f"{n}": bytes(60_000) for n in range(3)}, zipfile.ZIP_STORED), "a.docx")
    assert len(many.read("0")) == 60_000
    with pytest.raises(RowError, match=r"^a\.docx unpacks to more than 0 MB"):
        many.read("1")
    monkeypatch.setattr(module, "ENTRIES", 2)
    with pytest.raises(RowError, match=r"^a\.docx has more than 2 parts, as no document has"):
        Archive(zipped(dict.fromkeys("abc", "")), "a.docx")


def test_a_size_that_lies_does_not_help_a_bomb():
    data = bytearray(zipped({"a.xml": b" " * 12_000_000}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)  # unpacked size in the directory
    with pytest.raises(RowError, match=r"^a\.docx (unpacks|is damaged)"):
        Archive(bytes(data), "a.docx").read("a.xml")


def test_archives_that_are_broken_or_locked_are_refused():
    data = zipped({"a.xml": b"<body>" + bytes(range(256)) * 100})
    with pytest.raises(RowError, match=r"^a\.docx is damaged: its archive cannot be opened \("):
        Archive(data[:-30], "a.docx")
    with pytest.raises(RowError, match=r"^a\.docx is damaged: b\.xml is missing inside it"):
        Archive(data, "a.docx").read("b.xml")
    broken = bytearray(data)
    broken[60:90] = bytes(30)
    with pytest.raises(RowError, match=r"^a\.docx is damaged: a\.xml inside it cannot be unpacked \("):
        Archive(bytes(broken), "a.docx").read("a.xml")
    locked = Archive(data, "a.docx")
    locked._zip.getinfo("a.xml").flag_bits |= 1
    with pytest.raises(RowError, match=r"^a\.docx is protected by a password; save it without one\.$"):
        locked.read("a.xml")


def test_an_archive_inside_is_not_opened():
    inner = zipped({"a.xml": b"0" * 1_000_000})
    outer = io.BytesIO(zipped({"inner.zip": inner, "a.xml": "<body/>"}))
    assert Archive(outer.getvalue(), "a").read("inner.zip") == inner
