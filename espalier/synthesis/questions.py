"""Questions that a model writes for passages, to measure search with (Bonifacio et al., 2022), arXiv:2202.05144."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from espalier import question_forms as forms
from espalier import reading
from espalier.catalogue import method
from espalier.citing import locate
from espalier.contracts import LM, Row
from espalier.curating import EachRow, Item
from espalier.errors import RecipeError, RowError
from espalier.maths.answers import normalized
from espalier.question_checks import agrees, copied_share, holds, of_passage, same_script, spoken
from espalier.question_forms import Draft
from espalier.rows import Dropped
from espalier.verdicts import concluded


@method(paper="arXiv:2202.05144")
@dataclass(frozen=True)
class Questions(EachRow):
    """Have a model write for each passage a question with a short answer and the quote that it rests on.

    A row has question, answers, quote, the passage as `passages` with `gold`, lang (of the question) and gold_lang (of
    the passage), and where the quote stands: document, start, end. Left out is what can be seen to be no good: a quote
    that the passage does not have, a question that is answered without it, is copied from it or asked twice.

    Inputs: rows with text; title, document, start (of the text in it), place, gold_lang; lang, if it is another.
    Relations: rag methods and retrievers are measured on what it writes.
    Departs from the paper: asked with instructions, without examples; a question comes with its answer; what is kept is
    decided by checks, not by the question's log-probability.
    """

    lm: LM
    form: Literal["auto", "whole", "steps"] = "auto"  # one reply; question, then answer; steps where one reply fails
    tries: int = 2  # closed-book answers to each question
    known: float = 0.6  # F1 from which such an answer is right
    copied: float = 0.6  # of a question, the longest share that may be the passage's own words
    temperature: float = 0.0  # of questions; closed-book answers are sampled at 0.7
    max_tokens: int = 256  # of a reply
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        if self.tries < 0 or not 0 < self.known <= 1 or not 0 < self.copied <= 1:
            raise RecipeError("synthesis/questions: tries is at least 0; known and copied lie above 0, up to 1.")

    def each(self, row: Row) -> Iterator[Item]:
        """The passage's question, or why it has none."""
        text = row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise RowError(f"{row.where}: missing 'text', the passage to ask about.")
        held = str(row.get("gold_lang") or spoken(text))
        lang = str(row.get("lang") or held)
        draft, briefly = self._written(row, text, lang if lang != held else "")
        if isinstance(draft, str):
            yield Dropped(row.where, draft)
            return
        place = locate(draft.quote, text)
        answers = list(dict.fromkeys(filter(None, (draft.answer, draft.translation))))
        reason = (
            "quote not in the passage" if place is None
            else "answer not in the quote" if not holds(draft.quote, draft.answer, held)
            else "question in another language" if not same_script(draft.question, lang)
            else "question speaks of the passage" if of_passage(draft.question)
            else "answer in the question" if any(holds(draft.question, answer, held) for answer in answers)
            else "copied from the passage" if copied_share(draft.question, text, held) > self.copied
            else "answered without the passage" if self._is_known(draft.question, answers, held, briefly)
            else ""
        )  # fmt: skip
        if reason or place is None:
            yield Dropped(row.where, reason, draft.question)
        else:
            yield Row(forms.fields_of(row, draft.question, answers, place, lang, held), row.where)

    def finish(self, found: Iterable[Item]) -> Iterator[Item]:
        """Leave out what is asked a second time: in the same words, or for the same answer in the same place."""
        seen: set[object] = set()
        for item in found:
            if isinstance(item, Row):
                asked = normalized(item["question"], item["lang"])
                held = (item["lang"], item["document"], item["start"], item["answers"][0])
                if asked in seen or held in seen:
                    yield Dropped(item.where, "a duplicate", item["question"])
                    continue
                seen |= {asked, held}
            yield item

    def _written(self, row: Row, text: str, asked: str) -> tuple[Draft | str, bool]:
        """The question, or why there is none; and whether the model follows instructions."""
        if self.form != "steps":
            reply = self._said(forms.whole_prompt(text, str(row.get("title") or ""), asked))
            if forms.declined(reply):
                return "nothing to ask about", True
            if (draft := forms.read_whole(reply)) is not None or self.form == "whole" or asked:
                return draft or "unparsed", True
        question = forms.read_alone(self._said(forms.alone_prompt(text)))
        if not question:
            return "unparsed", False
        found = reading.read(self._said(reading.prompt(question, [(str(row.get("title") or ""), text)])))
        if found.abstained or not found.quotes:
            return "no answer in the passage", False
        return Draft(question, found.quotes[0], found.answer), False

    def _said(self, prompt: str) -> str:
        return self.lm.complete(prompt, temperature=self.temperature, max_tokens=self.max_tokens, seed=self.seed)[0]

    def _is_known(self, question: str, answers: list[str], lang: str, briefly: bool) -> bool:
        """Whether the model answers it without the passage."""
        if not self.tries:
            return False
        prompt = forms.closed_prompt(question, briefly=briefly)
        said = self.lm.complete(prompt, n=self.tries, temperature=0.7, max_tokens=64, seed=self.seed)
        return any(agrees(reading.read(concluded(one)).answer, answers, lang, f1_from=self.known) for one in said)
