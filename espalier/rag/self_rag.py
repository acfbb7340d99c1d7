"""Self-RAG, retrieving, writing and criticizing (Asai et al., 2023), arXiv:2310.11511; inference only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from espalier import asking, reading
from espalier.catalogue import method
from espalier.contracts import LM, Answer, Hit, Retriever
from espalier.drafts import plain
from espalier.errors import RecipeError
from espalier.lm.segments import Path, PromptedReader, Reader, Segment
from espalier.spending import counting, spend

USEFULNESS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of utility 1 to 5


def critique_score(segment: Segment, *, w_rel: float, w_sup: float, w_use: float) -> float:
    """Eq. 4: S = w_rel p(relevant) + w_sup (p(fully) + p(partially) / 2) + w_use sum_i u_i p(utility i).

    Each p is a share of its own group; a group without a word counts 0, as for a segment from no passage.
    """
    supported, useful = segment.supported, segment.useful
    return (
        w_rel * (segment.relevant[0] if segment.relevant else 0.0)
        + w_sup * (supported[0] + 0.5 * supported[1] if supported else 0.0)
        + w_use * (sum(u * p for u, p in zip(USEFULNESS, useful, strict=True)) if useful else 0.0)
    )


@method(paper="arXiv:2310.11511")
@dataclass(frozen=True)
class SelfRAG:
    """Search if a critic says so, answer from each passage alone, keep what is judged relevant, supported and useful.

    Inputs: questions; a model and a retriever.
    Relations: rag/flare searches where the model is not sure; rag/crag judges passages, not answers.
    Departs from the paper: where the tokenizer lacks its reflection tokens, the same model is asked in words and their
    log-probabilities are the critics' (what it says, where it has none). A path's score is a product, as in the
    released code, in which no segment counts less than 0: two bad ones made a good one.
    """

    lm: LM
    retriever: Retriever
    k: int = 5  # passages
    mode: Literal["adaptive", "always", "never"] = "adaptive"  # when to search
    threshold: float = 0.2  # search where p(retrieve) / (p(retrieve) + p(not)) is more
    w_rel: float = 1.0
    w_sup: float = 1.0
    w_use: float = 0.5
    sequence: bool = True  # add how likely the segment is: the geometric mean of its tokens
    beam: int = 2  # answers kept after each segment
    depth: int = 1  # segments; 1: the whole answer is one, 7 is usual for long ones
    closed: bool = False  # sum the scores of equal answers, for questions with few possible answers; depth 1
    max_tokens: int = 256  # of a segment
    instruction: str = reading.INSTRUCTION

    def __post_init__(self) -> None:
        if min(self.k, self.beam, self.depth) < 1 or (self.closed and self.depth > 1):
            raise RecipeError("rag/self_rag: k, beam and depth are at least 1, and closed goes with depth 1.")

    def solve(self, question: str) -> Answer:
        trace: list[str] = []
        reader = self._reader()
        with counting() as spent:
            paths = [Path()]
            for _ in range(self.depth):
                grown = [new for path in paths for new in self._grown(reader, question, path, trace)]
                paths = sorted(grown, key=lambda path: -path.score)[: len(grown) if self.closed else self.beam]
                if all(path.ended for path in paths):
                    break
        best = self._agreed(paths) if self.closed else paths[0]
        trace.append(f"searched at {spent['searches']} of {spent['decisions']} segments")
        hits = tuple(dict.fromkeys(segment.hit for segment in best.segments if segment.hit))
        return asking.conclude(best.text, hits, [*trace, f"replied {best.text!r}"], spent)

    def _reader(self) -> Reader:
        if hasattr(self.lm, "renderer"):  # a model on this machine, whose tokenizer can be asked
            from espalier.lm.reflection import ReflectionReader

            if found := ReflectionReader.of(self.lm, self.max_tokens):
                return found
        return PromptedReader(self.lm, self.instruction, self.max_tokens)

    def _grown(self, reader: Reader, question: str, path: Path, trace: list[str]) -> list[Path]:
        """The path with each of its next segments."""
        if path.ended:
            return [path]
        hits = self._hits(reader, question, path, trace)
        found = []
        for segment in reader.segments(question, path.segments, hits, self.depth == 1):
            score = critique_score(segment, w_rel=self.w_rel, w_sup=self.w_sup, w_use=self.w_use)
            score += (segment.likely or 0.0) * self.sequence
            place = asking.names([segment.hit]) if segment.hit else "no passage"
            trace.append(f"from {place}, score {score:.3f}: {segment.text.strip()!r}")
            found.append(path.then(segment, score))
        return found

    def _hits(self, reader: Reader, question: str, path: Path, trace: list[str]) -> tuple[Hit, ...]:
        """What is searched for the next segment; nothing where there is no need."""
        spend(decisions=1)
        if self.mode == "adaptive":
            wanted = reader.wants(question, path.segments)
            trace.append(
                "the critic does not say whether to search" if wanted is None else f"to search: {wanted[0]:.3f}"
            )
        if self.mode == "never" or (self.mode == "adaptive" and wanted and wanted[0] <= self.threshold):
            return ()
        query = " ".join([question, *(plain(segment.text) for segment in path.segments[-1:])])
        hits = asking.search(self.retriever, query, self.k)
        trace.append(f"searched {query!r}: {asking.names(hits)}")
        return hits

    def _agreed(self, paths: Sequence[Path]) -> Path:
        """The best path of the answer whose paths have the highest scores together."""
        answers = [reading.read(path.text).short.strip(" .").casefold() for path in paths]
        totals = {a: sum(p.score for p, own in zip(paths, answers, strict=True) if own == a) for a in answers}
        return paths[answers.index(max(totals, key=lambda answer: totals[answer]))]
