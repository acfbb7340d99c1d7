"""The part of Go's text/template that Ollama's templates here are written in."""

import pytest

from espalier.export.go_template import GoTemplate, quoted

MESSAGES = [{"Role": "system", "Content": "S"}, {"Role": "user", "Content": 'say "}}" {{ and \\n'}]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a {{ .Name }} b", "a x b"),
        ("a {{- .Name -}} b", "axb"),
        ('a\n{{- " " }}\n b', "a \n b"),
        ('{{ "}}\\n\\"" }}', '}}\n"'),
        ("{{ range .List }}[{{ . }}]{{ end }}", "[1][2][3]"),
        ("{{ range $i, $x := .List }}{{ $i }}={{ $x }} {{ end }}", "0=1 1=2 2=3 "),
        ("{{ range $i, $_ := .List }}{{ if eq (len (slice $.List $i)) 1 }}last{{ end }}{{ end }}", "last"),
        ('{{ if eq .Name "y" }}y{{ else if eq .Name "x" }}x{{ else }}z{{ end }}', "x"),
        ("{{ if not .Empty }}no{{ end }}{{ if .Empty }}yes{{ else }}none{{ end }}", "nonone"),
        ("{{ $n := len .List }}{{ $n }}{{ if and $n .Name }}!{{ end }}{{ if or .Empty .Name }}?{{ end }}", "3!?"),
    ],
)
def test_the_subset(source, expected):
    assert GoTemplate(source).render(Name="x", List=[1, 2, 3], Empty="") == expected


def test_messages_are_data_whatever_stands_in_them():
    source = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}"
    assert GoTemplate(source).render(Messages=MESSAGES) == '<system>S<user>say "}}" {{ and \\n'
    assert GoTemplate("{{ " + quoted('}} "\\n\n서울') + " }}").render() == '}} "\\n\n서울'


@pytest.mark.parametrize("source", ["{{ end }}", "{{ nothing }}", "{{ range .L }}{{ $x }}{{ end }}"])
def test_what_is_not_known_is_refused(source):
    with pytest.raises((ValueError, KeyError)):
        GoTemplate(source).render(L=[1])
