"""What strategies share: a question and its passages as a prompt that fits, and the answer in a reply to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from espalier import reading
from espalier.citing import cite
from espalier.contracts import LM, Answer, Hit, Prompt, Retriever
from espalier.errors import RunError
from espalier.messages import history_of, is_assistant, text_of
from espalier.spending import spend

CHARACTERS = 3  # of a token, where the model's own count is not to be had; most texts have more
UNFOUND = "no passage has a word of the question"


@dataclass(frozen=True)
class Asked:
    """A question ready for a model: the prompt, the passages in it, and what is worth telling about them."""

    prompt: str
    hits: tuple[Hit, ...]
    note: str = ""
    spent: Mapping[str, int] = field(default_factory=dict)  # until here


def search(retriever: Retriever, query: str, k: int) -> tuple[Hit, ...]:
    """The k best passages; counted as one search, whatever the retriever does for it."""
    spend(searches=1)
    return tuple(retriever.search(query, k))


def ask(
    lm: LM,
    question: str,
    hits: Sequence[Hit],
    *,
    instruction: str = reading.INSTRUCTION,
    max_tokens: int = 256,
    begun: str = "",
) -> Asked:
    """The prompt that shows as many of the best passages as the model's context holds; without passages, the question.

    Args:
        lm: who will read it.
        question: as it was asked.
        hits: best first.
        instruction: stands before the passages.
        max_tokens: of the reply; up to a quarter of the context is kept free for it.
        begun: the answer so far, which the model is to go on with.

    Raises:
        RunError: the context does not even hold the best passage.
    """
    context = getattr(lm, "context", None)
    tokens = 0
    for count in range(len(hits), 0, -1) or [0]:
        prompt = reading.prompt(question, [(h.title, h.text) for h in hits[:count]], instruction=instruction)
        if context is None:
            return Asked(prompt, tuple(hits))
        tokens = count_tokens(lm, prompt) + len(begun) // CHARACTERS
        if tokens <= context - min(max_tokens, context // 4):
            note = f"the model reads {context:,} tokens, so it is shown {count} of {len(hits)} passages"
            return Asked(prompt, tuple(hits[:count]), note if count < len(hits) else "")
    raise RunError(
        f"the model reads {context:,} tokens, and the question with its best passage has {tokens:,}. Ask a shorter "
        "question, index with smaller passages (--size), or take a model that reads more."
    )


def count_tokens(lm: LM, text: str) -> int:
    """Tokens of a prompt as the model reads it; an estimate where it does not say."""
    renderer = getattr(lm, "renderer", None)
    return len(renderer.prompt(text)) if renderer is not None else len(text) // CHARACTERS + 1


def continued(prompt: str, begun: str) -> Prompt:
    """A prompt whose answer has begun: the model goes on from there."""
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": begun}] if begun.strip() else prompt


def started(prompt: Prompt) -> tuple[Prompt, str]:
    """A prompt and how its answer begins, `continued`'s opposite; "" where the answer has not begun."""
    if isinstance(prompt, str) or len(prompt) < 2 or not is_assistant(prompt[-1]):
        return prompt, ""
    before = list(prompt[:-1])
    alone = len(before) == 1 and before[0].get("role") == "user"
    return (text_of(before[0]) if alone else history_of(before)), text_of(prompt[-1])


def conclude(reply: str, hits: Sequence[Hit], trace: Iterable[str], spent: Mapping[str, int]) -> Answer:
    """The answer in a model's reply, with its quotes looked up in the passages that it was shown."""
    found = reading.read(reply)
    citations = () if found.abstained else cite(found.quotes, hits)
    return Answer(found.answer or reading.ABSTAINED, citations, tuple(trace), tuple(hits), dict(spent))


def shown(hits: Sequence[Hit]) -> list[str]:
    """A line of the trace for each passage."""
    return [f"shown {hit.document}, characters {hit.start} to {hit.start + len(hit.text)}" for hit in hits]


def names(hits: Sequence[Hit], scores: Sequence[float | None] | None = None) -> str:
    """What a search found, for a line of the trace, with scores if it has been judged."""
    places = [f"{hit.document} from {hit.start}" for hit in hits]
    marks = ["not known" if score is None else f"{score:.2f}" for score in scores or ()]
    return ", ".join(map(" ".join, zip(places, marks, strict=True)) if marks else places) or "nothing found"


def merged(*lists: Sequence[Hit], k: int | None = None) -> tuple[Hit, ...]:
    """Lists of passages as one, each list's best first, then each one's second; no passage twice."""
    ranked = zip_longest(*lists)
    return joined([hit for hits in ranked for hit in hits if hit is not None])[:k]


def joined(*lists: Sequence[Hit]) -> tuple[Hit, ...]:
    """Lists of passages one after the other; no passage twice."""
    found: dict[tuple[str, int, str], Hit] = {}
    for hit in chain(*lists):
        found.setdefault((hit.document, hit.start, hit.text), hit)
    return tuple(found.values())
