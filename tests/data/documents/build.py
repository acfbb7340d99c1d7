"""Small documents of every format, written by hand: no package stands between a test and the bytes it reads."""

import io
import zipfile
from xml.sax.saxutils import escape, quoteattr

LINES = ("서울은 대한민국의 수도이다.", "北京是中国的首都。", "Jakarta adalah ibu kota Indonesia.")  # in every format

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_P = f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" {_A} {_R}'
_S = f'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" {_R}'
_HP = 'xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph" xmlns:hs="http://www.hancom.co.kr/hwpml/2011/section"'
_TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def zipped(parts, compression=zipfile.ZIP_DEFLATED):
    """An archive of parts, by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def relations(**targets):
    """What a part refers to: id=("slide", "slides/slide1.xml")."""
    each = "".join(f'<Relationship Id="{i}" Type="{_TYPE}/{kind}" Target="{to}"/>' for i, (kind, to) in targets.items())
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{each}</Relationships>'


def titled(title):
    """The properties of an Office document."""
    space = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
    return f'<c:coreProperties xmlns:c="{space}" xmlns:d="urn:dc"><d:title>{title}</d:title></c:coreProperties>'


def word(text, style="", more=""):
    """A paragraph of a Word document."""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{more}</w:pPr><w:r><w:t>{escape(text)}</w:t></w:r></w:p>"


def word_table(rows):
    cells = ["".join(f"<w:tc>{word(cell)}</w:tc>" for cell in row) for row in rows]
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"


def docx(body, main="word/document.xml", **parts):
    """A Word document with the styles Title, H1, H2 and Own, which is based on H2."""
    styles = "".join(
        f'<w:style w:styleId="{i}"><w:name w:val="{name}"/>{more}</w:style>'
        for i, name, more in (
            ("T", "Title", ""), ("H1", "heading 1", ""), ("H2", "heading 2", ""),
            ("Own", "mine", '<w:basedOn w:val="H2"/>'), ("L", "by level", '<w:pPr><w:outlineLvl w:val="2"/></w:pPr>'),
        )
    )  # fmt: skip
    folder, _, file = main.rpartition("/")
    return zipped(
        {
            "_rels/.rels": relations(a=("officeDocument", main)),
            f"{folder}/_rels/{file}.rels": relations(
                a=("styles", "styles.xml"), **({"b": ("footnotes", "/word/foot.xml")} if "foot" in parts else {})
            ),
            f"{folder}/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
            main: f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            **({"word/foot.xml": f"<w:footnotes {_W}>{parts['foot']}</w:footnotes>"} if "foot" in parts else {}),
            **({"docProps/core.xml": titled(parts["title"])} if "title" in parts else {}),
        }
    )


def shape(*lines, kind=""):
    """A shape of a slide; `kind` is that of its placeholder."""
    held = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else ""
    text = "".join(f"<a:p><a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in lines)
    return f"<p:sp><p:nvSpPr>{held}</p:nvSpPr><p:txBody>{text}</p:txBody></p:sp>"


def slide_table(rows):
    cells = ["".join(f"<a:tc><a:p><a:r><a:t>{cell}</a:t></a:r></a:p></a:tc>" for cell in row) for row in rows]
    return f"<p:graphicFrame><a:tbl>{''.join(f'<a:tr>{row}</a:tr>' for row in cells)}</a:tbl></p:graphicFrame>"


def pptx(slides, notes=""):
    """A presentation whose slides stand in their files in the opposite order; the notes are those of the first."""
    names = [f"slide{number}.xml" for number in range(len(slides), 0, -1)]
    parts = {
        "_rels/.rels": relations(a=("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {_P}><p:sldIdLst>"
        + "".join(f'<p:sldId id="{256 + at}" r:id="r{at}"/>' for at in range(len(slides)))
        + "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(
            **{f"r{at}": ("slide", f"slides/{name}") for at, name in enumerate(names)}
        ),
    }
    for name, content in zip(names, slides, strict=True):
        parts[f"ppt/slides/{name}"] = _tree(content, "sld")
    if notes:
        parts[f"ppt/slides/_rels/{names[0]}.rels"] = relations(n=("notesSlide", "../notesSlides/notes.xml"))
        parts["ppt/notesSlides/notes.xml"] = _tree(notes, "notes")
    return zipped(parts)


def _tree(shapes, tag):
    return f"<p:{tag} {_P}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{tag}>"


def xlsx(sheets, strings=(), formats=(), settings=""):
    """A workbook: rows of cells as XML by the name of their sheet; `formats` are (number, code) of the styles."""
    codes = "".join(f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>' for number, code in formats if code)
    styles = "".join(f'<xf numFmtId="{number}"/>' for number, _ in formats)
    parts = {
        "_rels/.rels": relations(a=("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f"<workbook {_S}>{settings}<sheets>"
        + "".join(f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>' for at, name in enumerate(sheets))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            s=("sharedStrings", "shared.xml"), f=("styles", "styles.xml"),
            **{f"r{at}": ("worksheet", f"sheets/{at}.xml") for at in range(len(sheets))},
        ),
        "xl/shared.xml": f"<sst {_S}>" + "".join(f"<si><t>{escape(each)}</t></si>" for each in strings) + "</sst>",
        "xl/styles.xml": f"<styleSheet {_S}><numFmts>{codes}</numFmts><cellXfs>{styles}</cellXfs></styleSheet>",
    }  # fmt: skip
    for at, rows in enumerate(sheets.values()):
        parts[f"xl/sheets/{at}.xml"] = f"<worksheet {_S}><sheetData>{rows}</sheetData></worksheet>"
    return zipped(parts)


def hangul(text, format="0", more=""):
    """A paragraph of a Hangul document."""
    return f'<hp:p paraPrIDRef="{format}"><hp:run><hp:t>{text}</hp:t>{more}</hp:run></hp:p>'


def hangul_table(rows):
    cells = ["".join(f"<hp:tc><hp:subList>{hangul(cell)}</hp:subList></hp:tc>" for cell in row) for row in rows]
    return "<hp:tbl>" + "".join(f"<hp:tr>{row}</hp:tr>" for row in cells) + "</hp:tbl>"


def hwpx(*sections, manifest="", title=""):
    """A Hangul document; a paragraph of format "1" is a heading of the first level, one of "2" of the second."""
    outline = "".join(
        f'<h:paraPr id="{level + 1}"><h:heading type="OUTLINE" level="{level}"/></h:paraPr>' for level in range(2)
    )
    parts = {
        "mimetype": "application/hwp+zip",
        "META-INF/manifest.xml": f"<manifest>{manifest}</manifest>",
        "Contents/header.xml": f'<h:head xmlns:h="urn:h"><h:paraProperties>{outline}</h:paraProperties></h:head>',
        "Contents/content.hpf": f"<package><metadata><title>{title}</title></metadata></package>",
    }
    for number, section in reversed(list(enumerate(sections))):
        parts[f"Contents/section{number}.xml"] = f"<hs:sec {_HP}>{section}</hs:sec>"
    return zipped(parts)


def pdf(pages, outline=(), title="", protected=False):
    """A PDF of lines by page, with the characters named by a ToUnicode table; `outline` has (title, page from 0)."""
    used = sorted({char for page in pages for line in page for char in line})
    table = "\n".join(f"<{ord(char):04x}> <{ord(char):04x}>" for char in used)
    unicode = f"1 begincodespacerange <0000> <ffff> endcodespacerange {len(used)} beginbfchar {table} endbfchar"
    kids, marks = len(pages), len(outline)
    first = 7  # the objects of pages begin here: each page and its content
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R /Outlines {first + 2 * kids} 0 R >>",
        2: f"<< /Type /Pages /Count {kids} /Kids [{' '.join(f'{first + 2 * n} 0 R' for n in range(kids))}] >>",
        3: "<< /Type /Font /Subtype /Type0 /BaseFont /Test /Encoding /Identity-H /DescendantFonts [4 0 R] "
        "/ToUnicode 5 0 R >>",
        4: "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Test /DW 1000 /CIDSystemInfo "
        "<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        5: _stream(unicode),
        6: f"<< /Title <feff{title.encode('utf-16-be').hex()}> >>",
        first + 2 * kids: f"<< /Type /Outlines /Count {marks} "
        + (f"/First {first + 2 * kids + 1} 0 R /Last {first + 2 * kids + marks} 0 R >>" if marks else ">>"),
    }
    for number, lines in enumerate(pages):
        here = first + 2 * number
        drawn = " ".join(f"<{''.join(f'{ord(char):04x}' for char in line)}> Tj 0 -20 Td" for line in lines)
        objects[here] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 2000 800] /Contents {here + 1} 0 R "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        )
        objects[here + 1] = _stream(f"BT /F 12 Tf 50 700 Td {drawn} ET" if lines else "")
    for at, (name, page) in enumerate(outline, first + 2 * kids + 1):
        following = f"/Next {at + 1} 0 R " if at < first + 2 * kids + marks else ""
        text = name.encode("utf-16-be").hex()
        objects[at] = (
            f"<< /Title <feff{text}> /Parent {first + 2 * kids} 0 R {following}/Dest [{first + 2 * page} 0 R /Fit] >>"
        )
    return _file(objects, protected)


def _stream(content):
    return f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"


def _file(objects, protected):
    written, places = b"%PDF-1.7\n", []
    for number in sorted(objects):
        places.append(len(written))
        written += f"{number} 0 obj\n{objects[number]}\nendobj\n".encode("ascii")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    locked = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'61' * 32}> /U <{'62' * 32}> >> " if protected else ""
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info 6 0 R /ID [<61> <61>] {locked}>>"
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return written + f"{head}{end}\nstartxref\n{len(written)}\n%%EOF".encode("ascii")
