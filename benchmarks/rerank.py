"""UPR and PRP against padded batches of the same token ids in transformers: python -m benchmarks.rerank

Both sides score the same rows with the same random weights on the processor, and must agree. Ours is timed from text,
as a user calls it; transformers' side is handed its token ids. It is measured twice: in the order the rows come with
all logits, as the methods' own code does it, and in its best form: rows sorted by length, padded on the left, and
logits only where a token is scored. Times are of the processor, the best of several rounds, the sides in turn.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch

from benchmarks import meter, shapes
from espalier.contracts import Row
from espalier.lm.local import Local
from espalier.models.roles import Role
from espalier.render import Rendered, Renderer
from espalier.rerankers.prp import PRP
from espalier.rerankers.upr import UPR
from espalier.trees.engine import Engine

RESULTS = Path(__file__).parent / "results" / "rerank.json"
BATCH = 16  # rows padded together, as UPR's own code has it
TOLERANCE = 2e-3  # of sums of some ten log-probabilities in float32, in nats
PLAIN, BEST = "padded", "padded, sorted, few logits"


class Noted(Local):
    """A model that keeps what it was asked last, and what it answered."""

    def logprobs_many(self, asked: Any) -> list[list[float]]:
        self.asked, self.found = asked, super().logprobs_many(asked)
        return self.found


def rows_of(queries: int, passages: int, vocabulary: int, seed: int = 0) -> list[Row]:
    """Queries of 6 to 12 words with passages of about 80 words, 20 to 300 of them."""
    chance = random.Random(seed)

    def text(words: int) -> str:
        return " ".join(f"w{chance.randrange(3, vocabulary)}" for _ in range(words))

    found = []
    for number in range(queries):
        query = text(chance.randint(6, 12))
        lengths = [min(300, max(20, round(chance.lognormvariate(4.4, 0.5)))) for _ in range(passages)]
        found += [Row(query=query, document=text(length), group=number) for length in lengths]
    return found


def padded(model: Any, paths: Sequence[Rendered], scored: int, *, best: bool) -> list[float]:
    """The sum of the last tokens' log-probabilities of each path, in padded batches.

    Args:
        model: of transformers.
        paths: token ids.
        scored: how many of each path's last tokens count, at most; those that its mask names.
        best: sorted, padded on the left, with logits for these tokens alone.
    """
    order = sorted(range(len(paths)), key=lambda n: len(paths[n].ids)) if best else list(range(len(paths)))
    found = [0.0] * len(paths)
    for begin, end in pairwise([*range(0, len(order), BATCH), len(order)]):
        batch = [paths[n] for n in order[begin:end]]
        ids, mask, counted = (torch.zeros(len(batch), max(len(p.ids) for p in batch), dtype=torch.long) for _ in "123")
        for row, path in enumerate(batch):
            place = slice(-len(path.ids), None) if best else slice(len(path.ids))
            ids[row, place], mask[row, place] = torch.from_numpy(path.ids), 1
            counted[row, place] = torch.from_numpy(path.mask)
        more = {"position_ids": (mask.cumsum(-1) - 1).clamp_(min=0), "logits_to_keep": scored + 1} if best else {}
        with torch.inference_mode():
            logps = model(input_ids=ids, attention_mask=mask, **more).logits[:, :-1].log_softmax(-1)
            kept = slice(-logps.shape[1], None)
            sums = (logps.gather(2, ids[:, kept, None])[..., 0] * counted[:, kept]).sum(-1)
        for n, value in zip(order[begin:end], sums.tolist(), strict=True):
            found[n] = value
    return found


def one_label(paths: Sequence[Rendered]) -> list[Rendered]:
    """The first label of each pair of paths, without the end: all that a forward needs to compare two letters."""
    return [Rendered(path.ids[:-1], path.mask[:-1]) for path in paths[::2]]


def measured(ours: Callable[[], Any], lm: Noted, rounds: int) -> dict[str, Any]:
    """One method against both forms of padded batches."""
    ours()
    model, paths = lm.role.inner.model, [lm.renderer.completion(p, text) for p, texts in lm.asked for text in texts]
    values = [value for some in lm.found for value in some]
    scored = max(int(path.mask.sum()) for path in paths)
    few = slice(4 * BATCH)
    apart = max(abs(a - b) for best in (False, True)
                for a, b in zip(values[few], padded(model, paths[few], scored, best=best), strict=True))  # fmt: skip
    if apart > TOLERANCE:
        raise SystemExit(f"the two sides disagree by {apart:g} nats")
    if len(lm.asked[0][1]) == 2:
        paths, scored = one_label(paths), 1
    works: dict[str, Callable[[], Any]] = {
        "ours": ours,
        PLAIN: lambda: padded(model, paths, scored, best=False),
        BEST: lambda: padded(model, paths, scored, best=True),
    }
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            begun = time.process_time()
            work()
            seconds[name] = min(seconds[name], time.process_time() - begun)
    return {
        "prompts": len(lm.asked),
        "tokens": sum(len(path.ids) for path in paths),
        "apart": apart,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "times as fast": {name: round(seconds[name] / seconds["ours"], 2) for name in (PLAIN, BEST)},
    }


def main() -> None:
    """Measure both methods and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--shape", default="30m", choices=list(shapes.SHAPES))
    parser.add_argument("--queries", type=int, default=2)
    parser.add_argument("--passages", type=int, default=100, help="of a query, for UPR")
    parser.add_argument("--compared", type=int, default=20, help="passages of a query, for PRP")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", type=Path, default=Path(gettempdir()) / "espalier-shapes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    folder = shapes.saved(given.shape, given.models)

    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder).eval().requires_grad_(False)
    lm = Noted(Role(Engine(model)), Renderer(AutoTokenizer.from_pretrained(folder), template="plain"))
    vocabulary = shapes.SHAPES[given.shape]["vocab_size"]
    many = rows_of(given.queries, given.passages, vocabulary)
    few = rows_of(1, given.compared, vocabulary)
    found: dict[str, Any] = {"machine": meter.machine(), "shape": given.shape, "threads": given.threads, "batch": BATCH}
    for name, scorer, rows in (("upr", UPR(lm), many), ("prp, all pairs", PRP(lm, sort="all"), few)):
        found[name] = measured(partial(scorer.score, rows), lm, given.rounds)
        print(name, json.dumps(found[name]), flush=True)
    unfinished = given.out.with_suffix(".part")
    unfinished.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(given.out)


if __name__ == "__main__":
    main()
