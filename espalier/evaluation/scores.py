"""A row's part of every number: numerators and denominators, by the name of the measure."""

from __future__ import annotations

from collections.abc import Sequence

from espalier import reading
from espalier.citing import locate
from espalier.contracts import Sample
from espalier.evaluation import metrics
from espalier.evaluation.cases import Case
from espalier.evaluation.likelihood import Likelihood
from espalier.evaluation.questions import Passage, accepted, knows_gold, language_of
from espalier.evaluation.results import Score
from espalier.maths.answers import exact_match, f1
from espalier.maths.scripts import language, script
from espalier.messages import thought
from espalier.rewards.exact_answer import final_answer, right


def of_likelihood(case: Case, found: Sequence[Likelihood]) -> dict[str, Score]:
    """What the likelihoods of a row's targets say."""
    if case.kind == "options":
        sums = [one.logp for one in found]
        per_byte = [one.logp / max(1, one.size) for one in found]
        return {
            "option_accuracy": (metrics.picked(sums, case.answer), 1.0),
            "option_accuracy_per_byte": (metrics.picked(per_byte, case.answer, tie=metrics.TIE_PER_TOKEN), 1.0),
        }
    if case.kind == "preference":
        chosen, rejected = found
        scores: dict[str, Score] = {"logp_accuracy": (metrics.preferred(chosen.logp, rejected.logp), 1.0)}
        if chosen.tokens and rejected.tokens:
            means = chosen.logp / chosen.tokens, rejected.logp / rejected.tokens
            scores["mean_logp_accuracy"] = (metrics.preferred(*means, tie=metrics.TIE_PER_TOKEN), 1.0)
            scores["chosen_perplexity"] = (-chosen.logp, float(chosen.tokens))
        return scores
    nats, size = -sum(one.logp for one in found), sum(one.size for one in found)
    tokens = sum(one.tokens or 0 for one in found)
    scores = {"perplexity": (nats, float(tokens))} if tokens else {}
    return scores | ({"bits_per_byte": (nats, float(size))} if size else {})


def of_answer(case: Case, sample: Sample) -> dict[str, Score]:
    """What a generated answer says; reasoning in <think> marks is no part of the answer."""
    text = thought(sample.text)[1]
    values: dict[str, float | None] = {
        "ended": float(sample.ended),
        "length": float(len(sample.ids)) if sample.ids else None,
        "repetition": metrics.repetition(sample.text),
    }
    if case.kind == "question":
        values |= _of_reply(case, reading.read(text))
    else:
        values["same_script"] = metrics.same_script(case.question, text)
        if case.references:
            spoken = language(next((t for t in (case.references[0], case.question) if script(t)), ""))
            short = bool(accepted(case.row))  # an answer by itself, which a reply may work towards
            said = final_answer(text) if short else text
            exact = right(said, case.references, spoken) if short else exact_match(said, case.references, spoken)
            values |= {"exact_match": exact, "f1": f1(said, case.references, spoken)}
    return {name: (value, 1.0) for name, value in values.items() if value is not None}


def quoted(quotes: Sequence[str], passages: Sequence[Passage]) -> list[set[int]]:
    """For each quote the numbers of the passages it stands in."""
    return [{at for at, passage in enumerate(passages) if quote and locate(quote, passage.text)} for quote in quotes]


def _of_reply(case: Case, reply: reading.Reading) -> dict[str, float]:
    """What a reply to a question says; quotes count only beside an answer, and only if all of them can be found."""
    if not case.references:
        return {"abstained": float(reply.abstained)}
    answer, spoken = "" if reply.abstained else reply.short, language_of(case.row)
    values = {
        "exact_match": exact_match(answer, case.references, spoken) if answer else 0.0,
        "f1": f1(answer, case.references, spoken) if answer else 0.0,
        "abstained_falsely": float(reply.abstained),
    }
    if case.passages:
        places = quoted(reply.quotes, case.passages) if answer else []
        gold = {at for at, passage in enumerate(case.passages) if passage.gold}
        values["quote_found"] = float(bool(places) and all(places))
        if knows_gold(case.row):
            values["quote_gold"] = float(bool(places) and all(place & gold for place in places))
    return values
