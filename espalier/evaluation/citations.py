"""Citation recall and precision, as ALCE defines them (Gao et al., 2023), arXiv:2305.14627.

    recall      of a statement: 1 if its cited passages together entail it; without a citation 0
    precision   of a citation: 1 if its statement has recall 1, and the citation is needed: it entails the statement by
                itself, or the others together do not

An answer's recall is the mean over its statements, its precision that over all its citations, and 0 without any. What
entails is a model that is asked, or no model: every content word of the statement stands in the passages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from espalier.analysis import Analyzer
from espalier.contracts import LM, Answer, Citation
from espalier.errors import EspalierError
from espalier.knowledge.chunks import sentences
from espalier.reading import Reading

MOST = 3  # citations of a statement that count, as in ALCE
_MARK = re.compile(r"\s*\[(\d+)\]")
_BEHIND = re.compile(r"([.!?\u3002\uff01\uff1f]+)((?:\s*\[\d+\])+)")  # marks that stand behind their sentence's end
_PROMPT = """{passages}

Question: {question}
Statement: {statement}

Do the passages by themselves show that the statement is true as an answer to the question? Answer yes or no."""


@dataclass(frozen=True)
class Statement:
    """A part of an answer, and the texts of the passages it cites; "" is a citation that could not be verified."""

    text: str
    question: str
    cited: tuple[str, ...]


class Entailment(Protocol):
    """Whether passages show a statement."""

    def entails(self, passages: Sequence[str], statement: Statement) -> bool: ...


class ContentWords:
    """Entailment without a model: the statement has content words, and every one of them stands in the passages.

    It knows neither negation nor paraphrase; what it refuses may be right, what it passes may be turned around.
    """

    def __init__(self) -> None:
        self.analyzer = Analyzer()

    def entails(self, passages: Sequence[str], statement: Statement) -> bool:
        terms = set(self.analyzer(statement.text))
        return bool(terms) and terms <= set(self.analyzer("\n".join(passages)))


class Asked:
    """Entailment as a language model sees it: "yes" likelier than "no", or said where it has no log-probabilities.

    Args:
        lm: the model that is asked.
    """

    def __init__(self, lm: LM) -> None:
        self.lm = lm
        self._weighs = True

    def entails(self, passages: Sequence[str], statement: Statement) -> bool:
        numbered = "\n".join(f"[{number}] {' '.join(text.split())}" for number, text in enumerate(passages, 1))
        prompt = _PROMPT.format(passages=numbered, question=statement.question, statement=statement.text)
        if self._weighs:
            try:
                yes, no = self.lm.logprobs(prompt, ["yes", "no"])
                return yes > no
            except EspalierError:
                self._weighs = False
        return self.lm.complete(prompt, max_tokens=8)[0].strip().casefold().startswith("yes")


def citation_scores(statements: Sequence[Statement], judge: Entailment, *, most: int = MOST) -> tuple[float, float]:
    """Recall and precision of one answer.

    Args:
        statements: what it says, at least one.
        judge: says what entails what.
        most: citations of a statement that count, the first.
    """
    supported, needed, citations = 0, 0, 0
    for statement in statements:
        cited = statement.cited[:most]
        citations += len(cited)
        if _entails(judge, cited, statement):
            supported += 1
            needed += sum(_needed(judge, cited, at, statement) for at in range(len(cited)))
    return supported / len(statements), needed / citations if citations else 0.0


def statements_of(question: str, answer: Answer) -> list[Statement]:
    """What an answer says, with what it cites for it; nothing where it abstains.

    Sentences with marks such as [1] cite by the number in `answer.citations`, from 1; without any mark the whole answer
    is one statement that rests on all of them.
    """
    if Reading(answer.text).abstained:
        return []
    texts = [_shown(citation, answer) for citation in answer.citations]
    if not _MARK.search(answer.text):
        return [Statement(answer.text, question, tuple(dict.fromkeys(texts)))]
    text, found = _BEHIND.sub(r"\2\1", answer.text), []
    for start, end in sentences(text):
        part = text[start:end]
        numbers = dict.fromkeys(int(number) for number in _MARK.findall(part))
        cited = [texts[number - 1] if 0 < number <= len(texts) else "" for number in numbers]
        if said := _MARK.sub("", part).strip():
            found.append(Statement(said, question, tuple(cited)))
    return found


def _shown(citation: Citation, answer: Answer) -> str:
    """The passage that a quote is verified in; the quote alone where the answer does not keep what was shown."""
    if not citation.verified:
        return ""
    for hit in answer.hits:
        same = hit.document == citation.document
        if same and hit.start <= citation.start and citation.end <= hit.start + len(hit.text):
            return f"{hit.title}\n{hit.text}" if hit.title else hit.text
    return citation.quote


def _entails(judge: Entailment, cited: Sequence[str], statement: Statement) -> bool:
    passages = [text for text in cited if text]
    return bool(passages) and judge.entails(passages, statement)


def _needed(judge: Entailment, cited: Sequence[str], at: int, statement: Statement) -> bool:
    if len(cited) == 1 or _entails(judge, cited[at : at + 1], statement):
        return True
    return not _entails(judge, (*cited[:at], *cited[at + 1 :]), statement)
