"""Questions whose right answers, passages and replies are written down."""

from espalier import reading
from espalier.contracts import Hit, Row

BELMI = {"title": "Belmi Dorvan", "text": "Belmi Dorvan was born in Kastel in 1874.", "id": "belmi"}
OTHERS = [{"text": f"Person {number} was born in Town{number}."} for number in range(5)]


def row(question: str = "Where was Belmi born?", *answers: str, where: str = "row 1", **fields) -> Row:
    """A question to which Kastel is the answer, unless others are given."""
    return Row({"question": question, "answers": list(answers or ("Kastel",))} | fields, where)


def told(answer: str, *quotes: str) -> str:
    """A reply that quotes and then answers."""
    return reading.reply(answer, quotes)


class Fixed:
    """A retriever that finds the same passages whatever is asked."""

    def __init__(self, *hits: Hit) -> None:
        self.hits = hits

    def search(self, query: str, k: int) -> list[Hit]:
        return list(self.hits[:k])
