"""A model on rows: perplexity, right options, preferences, and what it answers; every number with its interval.

What is measured follows from what a row holds:

    prompt, completion / messages / text    perplexity per token, bits per byte
    prompt, options, answer                 the right option has the highest likelihood, summed and per byte
    prompt, chosen, rejected                the chosen one is likelier, summed and per token; against a reference,
                                            log p / p_reference is higher: the accuracy of DPO's implicit reward
    a prompt of any but options             an answer is generated: ended, length, repetition, script
    ... with completion, messages, answer   exact match and F1 of that answer
    question, answers, passages             the question is asked with its passages: exact match, F1, abstention, and
                                            whether what the answer quotes stands in them

A model that gives scores is measured by them instead: see `espalier.evaluation.rewards`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from espalier.contracts import LM
from espalier.evaluation import metrics, rewards
from espalier.evaluation.conditions import Show
from espalier.evaluation.likelihood import Likelihood, by_client, by_engine
from espalier.evaluation.preparing import Measured, ready, require_some, split, unanswerable
from espalier.evaluation.results import Evaluation, Example, by_group, summarize
from espalier.evaluation.rewards import Scoring
from espalier.evaluation.scores import of_answer, of_likelihood
from espalier.lm.generate import Sampling
from espalier.lm.local import Local
from espalier.models.roles import Role
from espalier.render import Renderer

Progress = Callable[[str, int, int], None]  # evaluating or sampling, how many rows of how many
PROMPTS = 64  # prompts answered between two calls of progress


def evaluate(
    model: Role | LM | Scoring,
    rows: Iterable[Mapping[str, Any]],
    renderer: Renderer | None,
    *,
    reference: Role | None = None,
    name: str = "model",
    generate: bool = True,
    answered: int | None = None,
    max_tokens: int = 256,
    temperature: float = 0.0,
    resamples: int = 2000,
    seed: int = 0,
    show: Show | None = None,
    by: str | None = None,
    progress: Progress = lambda what, done, of: None,
) -> Evaluation:
    """Measure a model on rows.

    Args:
        model: a role of a local model, or any language model; one that is not local has neither perplexity
            nor bits per byte. Or a model that gives scores: of what follows it needs only name, resamples, seed and by.
        rows: of one kind or of several.
        renderer: the one the model was trained with; None where it has none.
        reference: what the model started from, for preferences.
        name: what to call the model.
        generate: whether to answer prompts; by far the slowest part.
        answered: answer only the prompts of so many rows, the first ones.
        max_tokens: longest answer.
        temperature: of the answers; 0 is greedy.
        resamples: of the bootstrap.
        seed: of answers and bootstrap.
        show: arranges what is shown beside a question; its own passages if not given.
        by: a column; every number is also given for the rows of each of its values.
        progress: called as rows are done.

    Raises:
        RowError: not one row can be measured; the sentence says why.
    """
    skipped: Counter[str] = Counter()
    if isinstance(model, Scoring):
        key, (total, found) = model.key, rewards.measured(model, rows, skipped, by, progress)
    else:
        assert renderer is not None, "a language model is measured with the renderer it was trained with"
        key, local = renderer.key, Local(model, renderer) if isinstance(model, Role) else model
        total, found = ready(rows, local, skipped, show, max_tokens)
        require_some(found, total, skipped)
        split(found, by)
        _weigh(local, reference, found, progress)
        if generate:
            _answer(local, found[:answered], skipped, Sampling(temperature, 1.0, max_tokens, seed), progress)
    examples = [_example(measured) for measured in found]
    options: dict[str, Any] = {
        "generate": generate,
        "answered": answered,
        "max_tokens": max_tokens,
        "temperature": temperature,
    }
    options |= {"seed": seed, "by": by, "resamples": resamples}
    return Evaluation(
        model=name,
        tokens=key,
        metrics=summarize(examples, resamples=resamples, seed=seed),
        examples=examples,
        rows=total,
        skipped=dict(skipped),
        options=options | {"reference": reference.describe if reference else None},
        groups=by_group(examples, resamples=resamples, seed=seed),
    )


def _weigh(model: LM, reference: Role | None, found: Sequence[Measured], progress: Progress) -> None:
    """Everything that is measured by likelihood."""
    pairs = [m for m in found if m.case.kind == "preference"]
    others = [m for m in found if m.case.kind == "options" or (m.paths and m.case.kind != "preference")]
    against = reference if isinstance(model, Local) and pairs else None
    total, so_far = len(others) + len(pairs) * (2 if against else 1), 0

    def done(n: int) -> None:
        nonlocal so_far
        so_far += n
        progress("evaluating", so_far, total)

    for group in (pairs, others):  # apart: the reference then computes the very same pieces, and rounds alike
        for measured, likelihoods in zip(group, _likelihoods(model, group, done), strict=True):
            measured.scores |= of_likelihood(measured.case, likelihoods)
            measured.logps = [one.logp for one in likelihoods]
    if against is None or not isinstance(model, Local):
        return
    before = by_engine(against, [m.paths for m in pairs], model.renderer, done)
    for measured, (chosen, rejected) in zip(pairs, before, strict=True):
        better, worse = measured.logps[0] - chosen.logp, measured.logps[1] - rejected.logp
        measured.scores["reward_accuracy"] = (metrics.preferred(better, worse), 1.0)
        measured.scores["reward_margin"] = (better - worse, 1.0)


def _likelihoods(model: LM, group: Sequence[Measured], done: Callable[[int], None]) -> list[list[Likelihood]]:
    if isinstance(model, Local):
        return by_engine(model.role, [m.paths for m in group], model.renderer, done)
    return by_client(model, [m.case for m in group], done)


def _answer(model: LM, found: Sequence[Measured], skipped: Counter[str], how: Sampling, progress: Progress) -> None:
    """Generate an answer to every prompt and measure it."""
    asked = []
    for measured in found:
        if measured.case.prompt is None or measured.case.kind == "options":
            continue
        if reason := unanswerable(measured, model):
            skipped[f"not answered: {reason}"] += 1
        else:
            asked.append(measured)
    asking: dict[str, Any] = {"temperature": how.temperature, "max_tokens": how.max_tokens, "seed": how.seed}
    for at in range(0, len(asked), PROMPTS):
        part = asked[at : at + PROMPTS]
        if isinstance(model, Local):
            answers = model.sample_ids([m.start for m in part if m.start is not None], **asking)
        else:
            answers = model.sample([m.case.prompt or "" for m in part], **asking)
        for measured, [sample] in zip(part, answers, strict=True):
            measured.sample = sample
            measured.scores |= of_answer(measured.case, sample)
        progress("sampling", at + len(part), len(asked))


def _example(measured: Measured) -> Example:
    case, sample = measured.case, measured.sample
    return Example(
        row=measured.number,
        where=case.row.where,
        key=measured.key,
        kind=case.kind,
        prompt=case.shown,
        reference=case.expected,
        answer=None if sample is None else sample.text,
        scores=measured.scores,
        group=measured.group,
        passages=[asdict(passage) for passage in case.passages],
    )
