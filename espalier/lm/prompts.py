"""Many prompts' log-probabilities at once, and prompts that a model can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from espalier.candidates import first_tokens, token_ends
from espalier.contracts import LM, Prompt
from espalier.errors import ModelError, RecipeError, RowError
from espalier.lm.client import in_threads

CHARACTERS = 4  # of a token, where the model's own count is not to be had
FEWEST_WORDS = 16  # of a passage, below which it is not shortened

Asked = tuple[Prompt, Sequence[str]]  # a prompt, and completions of it


def logprobs_all(lm: LM, asked: Sequence[Asked], *, method: str, instead: str) -> list[list[float]]:
    """log p(completion | prompt) for every prompt: here in batches that share what the prompts share, else in threads.

    Args:
        lm: the model.
        asked: prompts and their completions.
        method: the address of the method that asks.
        instead: what to do without log-probabilities, for the sentence that says there are none.

    Raises:
        ModelError: the model or its server has no such log-probabilities.
        RowError: a prompt is longer than the model reads.
    """
    try:
        if (many := getattr(lm, "logprobs_many", None)) is not None:
            found: list[list[float]] = many(asked)
            return found
        return in_threads(lambda one: lm.logprobs(*one), asked, getattr(lm, "concurrency", 1))
    except (ModelError, RecipeError) as error:
        raise ModelError(f"{method} asks for log-probabilities: {str(error).rstrip('.')}. {instead}") from error
    except RowError as error:
        raise RowError(f"{method}: {str(error).rstrip('.')}: set passage_tokens lower.") from error


def count_tokens(lm: LM, text: str) -> int:
    """Tokens of a text, by the model's tokenizer if it is here, else about as many; at least one."""
    renderer = getattr(lm, "renderer", None)
    return max(1, len(token_ends(renderer.tokenizer, text)) if renderer else len(text) // CHARACTERS)


def beginning(lm: LM, text: str, tokens: int) -> str:
    """As many tokens of a text, counted in the same way."""
    renderer = getattr(lm, "renderer", None)
    return first_tokens(renderer.tokenizer, text, tokens) if renderer else text[: tokens * CHARACTERS]


def fitting(lm: LM, write: Callable[[int], Prompt], words: int, max_tokens: int, *, method: str) -> Prompt:
    """A prompt whose passages have at most so many words, or fewer where the model reads less.

    Args:
        lm: the model; what a server's reads is not known, and nothing is shortened for it.
        write: makes the prompt, given the words of a passage.
        words: of a passage, at most.
        max_tokens: of the reply, for which there must be room.
        method: the address of the method that asks.

    Raises:
        RecipeError: not even very short passages fit.
    """
    prompt = write(words)
    context, renderer = getattr(lm, "context", None), getattr(lm, "renderer", None)
    while context is not None and renderer is not None and len(renderer.prompt(prompt)) + max_tokens > context:
        if words <= FEWEST_WORDS:
            raise RecipeError(
                f"{method}: the model reads {context} tokens, which is too little for its prompt, even with passages "
                f"of {words} words. Set window, max_tokens or depth lower, or take a model that reads more."
            )
        words = max(FEWEST_WORDS, words * 3 // 4)
        prompt = write(words)
    return prompt
