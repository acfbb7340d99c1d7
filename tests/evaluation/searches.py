"""A small index of notes and questions about them, for tests of what compares searches."""

import json

from espalier.evaluation.searching import Question, Wanted
from espalier.indexing import index

NOTES = {
    "kastel": "Belmi Dorvan was born in Kastel in 1874. He worked as a mason.",
    "mill": "The mill of Orrin was built in 1901. It burned down in 1933.",
    "river": "The river Tamsin rises in the hills of Vell and floods in spring.",
    "choir": "The choir of Orrin sings on Sundays. Its founder was Ada Quill.",
    "seoul": "\uc11c\uc6b8\uc740 \ub300\ud55c\ubbfc\uad6d\uc758 \uc218\ub3c4\uc774\ub2e4.",
}
ASKED = [
    ("q1", "Where was Belmi Dorvan born?", "kastel", ("Kastel",)),
    ("q2", "When was the mill of Orrin built?", "mill", ("1901",)),
    ("q3", "Where does the river Tamsin rise?", "river", ("the hills of Vell",)),
    ("q4", "Who was the founder of the choir?", "choir", ("Ada Quill",)),
]


def make(folder):
    """The index, and the questions as rows in a file."""
    notes = folder / "notes"
    notes.mkdir()
    for name, text in NOTES.items():
        (notes / f"{name}.md").write_text(text, encoding="utf-8")
    index(notes, folder / "notes.kb")
    rows = [{"id": i, "question": q, "answers": a, "gold": [f"{d}.md"]} for i, q, d, a in ASKED]
    rows.append({"id": "q5", "question": "What did Ada Quill eat?", "answers": []})
    file = folder / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "notes.kb", file


def asked():
    """The questions that have an answer."""
    return [Question(i, q, (Wanted(f"{d}.md"),), a, "en", "en") for i, q, d, a in ASKED]
