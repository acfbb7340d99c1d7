"""An answer that is written piece by piece, and what a model must be able to do for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakSet

from espalier import asking, reading
from espalier.catalogue import addresses
from espalier.contracts import LM, Hit
from espalier.drafts import Draft, has_logps
from espalier.errors import ModelError
from espalier.verdicts import concluded

KEYWORDS = (
    "Write what to type into a search engine to answer this question: at most three keywords with commas "
    "between them, and nothing else."
)
_ABLE: WeakSet[LM] = WeakSet()  # models whose samples have log-probabilities


@dataclass
class Writing:
    """A reply as far as it is written, the room that is left, and what happened on the way."""

    lm: LM
    question: str
    instruction: str
    room: int  # tokens
    text: str = ""
    seen: tuple[Hit, ...] = ()  # every passage that was shown
    trace: list[str] = field(default_factory=list)

    def ahead(self, hits: Sequence[Hit], max_tokens: int) -> Draft:
        """What the model would write next, at temperature 0, where it is shown these passages."""
        limit = min(self.room, max_tokens)
        asked = asking.ask(
            self.lm, self.question, hits, instruction=self.instruction, max_tokens=limit, begun=self.text
        )
        self.seen = asking.merged(self.seen, asked.hits)
        if asked.note and asked.note not in self.trace:
            self.trace.append(asked.note)
        prompt = asking.continued(asked.prompt, self.text)
        return Draft.of(self.lm.sample([prompt], n=1, temperature=0.0, max_tokens=limit)[0][0])

    def add(self, text: str, tokens: int) -> None:
        """Go on with a text, which took so many tokens to write."""
        self.text, self.room = self.text + text, self.room - max(tokens, 1)


def keywords(lm: LM, question: str, most: int = 3) -> str:
    """A question as a few words to search for; as it stands where the model writes none."""
    asked = " ".join(question.split())
    reply = concluded(lm.complete(f"{KEYWORDS}\n{reading.QUESTION} {asked}", max_tokens=32)[0])
    first = next((line for line in reply.splitlines() if line.strip()), "")
    words = [word.strip(" \"'") for word in first.split(",")[:most]]
    return asked if reading.read(reply).abstained else " ".join(filter(None, words)) or asked


def needs_logps(lm: LM, address: str, *others: str) -> None:
    """Refuse a model whose samples have no log-probabilities: found out once, with one token, before anything else.

    Args:
        lm: the model.
        address: the method that needs them.
        others: what does not, besides the other strategies.

    Raises:
        ModelError: there are none, or the server does not go on with an answer that has begun.
    """
    if lm in _ABLE:
        return
    sample = lm.sample([asking.continued("Count to three.", "one,")], n=1, temperature=0.0, max_tokens=1)[0][0]
    if not has_logps(sample):
        rest = ", ".join([*others, *(other for other in addresses("rag") if other != address)])
        name = getattr(lm, "name", "the model")
        raise ModelError(f"{name} gives no log-probabilities of what it writes, which {address} needs; take {rest}.")
    _ABLE.add(lm)
