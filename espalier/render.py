r"""The only place where messages become token ids: train, evaluate, chat, export and serve all call it.

    prompt        what a model sees before it generates
    completion    the same ids, then the target; every completion of one prompt begins with exactly the prompt's ids
    conversation  every assistant turn a target, each seen as the model would see it at that turn
    text          raw text, all of it a target

Which tokens are targets is decided by where a text comes from, never by comparing ids with pad or EOS, so a tokenizer
whose pad is its EOS still learns to stop. A model without a chat template gets the plain form:

    {system}\n\nUser: {question}\n\nAssistant: {answer}</s>\n\nUser: ...

and a prompt that is a string is used as it is. With a template, a string is one user message. `template` finds where
turns begin and end, `tokens` makes pieces of text fit together, `messages` reads what rows call a message.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from espalier.contracts import Prompt
from espalier.errors import ModelError, RecipeError, RowError, unknown
from espalier.messages import Message, answer_of, answers_of, history_of, is_target, reasoning_of
from espalier.template import PLAIN, ChatTemplate
from espalier.tokens import Codec, alternatives, quote

Ids = npt.NDArray[np.int32]
Messages = Sequence[Message]
THINKING = ("off", "on", "rows")


@dataclass(frozen=True)
class Rendered:
    """A sequence ready to train on."""

    ids: Ids  # the whole sequence from BOS [L]
    mask: npt.NDArray[np.bool_]  # True where the token is a target [L]

    @classmethod
    def of(cls, parts: Sequence[tuple[Sequence[int], bool]]) -> Rendered:
        """From stretches of ids and whether each is a target."""
        ids = [number for stretch, _ in parts for number in stretch]
        return cls(np.array(ids, np.int32), np.repeat([t for _, t in parts], [len(s) for s, _ in parts]))


class Renderer:
    """Turns prompts, completions and conversations into token ids, one way for training and inference.

    Args:
        tokenizer: a Hugging Face tokenizer.
        template: None for the tokenizer's own chat template (plain if it has none), "plain", a Jinja text, or the path
            of a .jinja file.
        thinking: "off": reasoning is neither shown nor trained and the template's empty reasoning block belongs to the
            prompt; "on": reasoning is part of the target; "rows": on for rows that have reasoning, off for the others
            (a prompt by itself is shown with thinking on). A template that has no such switch is left as it is.

    Attributes:
        template_name: "model", "plain", "inline" or the file's name.
        bos_id: the id every sequence begins with, None if the model uses none.
        stop_ids: ids that end a turn or a text when generating.
    """

    def __init__(self, tokenizer: Any, *, template: str | None = None, thinking: str = "off"):
        if thinking not in THINKING:
            raise RecipeError(unknown("thinking mode", thinking, THINKING))
        self.tokenizer, self.thinking = tokenizer, thinking
        self.template_name, self._source = _template(tokenizer, template)
        self._codec = codec = Codec(tokenizer)
        self._chat = ChatTemplate(tokenizer, self._source, codec.added, codec.special)
        self._special = alternatives(codec.special)
        self._last: tuple[str, list[int]] = ("", [])
        if not codec.start and tokenizer.bos_token_id is not None:
            spelled = codec.encode(self._chat.text([{"role": "user", "content": "?"}]))[:1]
            codec.start = spelled if spelled == [tokenizer.bos_token_id] else []
        self.bos_id: int | None = codec.start[0] if codec.start else None
        ends = codec.encode(self._chat.end) if self._chat.closed else []
        known = [*ends[-1:], *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])]
        self.stop_ids: tuple[int, ...] = tuple(dict.fromkeys(known))

    @cached_property
    def key(self) -> str:
        """A fingerprint of everything that decides the ids: tokenizer, template, thinking."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        content = json.loads(backend.to_str()) if backend is not None else self.tokenizer.get_vocab()
        content |= {"truncation": None, "padding": None}  # settings of the last call, not of the tokenizer
        source = self._source or self.tokenizer.chat_template
        parts = [content, source, self.thinking, self._codec.start, self.stop_ids, self.tokenizer.special_tokens_map]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def prompt(self, prompt: Prompt, tools: Any = None) -> Ids:
        """What a model sees before it generates: BOS, the prompt, the header of the assistant's turn. [L]"""
        if self._is_text(prompt):
            return np.array(self._begin(self._quoted(prompt)), np.int32)
        thinking = self.thinking != "off"
        history = self._chat.clean(history_of(prompt), thinking)
        return np.array(self._begin(self._chat.text(history, tools, thinking=thinking)), np.int32)

    def completion(self, prompt: Prompt, completion: str | Messages, tools: Any = None) -> Rendered:
        """A prompt and its completion, the end of the turn included; `ids` begin with exactly `prompt(prompt)`.

        Args:
            prompt: text or messages.
            completion: the answer, or messages that begin with an assistant turn (tool calls, their results, ...).
            tools: descriptions of tools, for templates that know them.

        Raises:
            RowError: if the template refuses the messages or writes them so that the prompt would change.
        """
        if self._is_text(prompt):
            before = self._quoted(prompt)
            answer = answer_of(completion).removesuffix(self.tokenizer.eos_token or "\0")
            seen = self._begin(before)
            whole = self._codec.extend(seen, before, quote(answer, self._special))
            return Rendered.of([(seen, False), (whole[len(seen) :], True), ([self._eos()], True)])
        history, answers = history_of(prompt), answers_of(completion)
        start = self.prompt(prompt, tools)
        paths = self._paths([*history, *answers], len(history), tools)
        if len(paths) > 1 or paths[0].ids[: len(start)].tolist() != start.tolist():
            raise RowError(
                "the chat template rewrites the prompt once the completion is there (it drops reasoning of earlier "
                "turns, or switches thinking outside the header); give the row as 'messages' or set thinking on or off."
            )
        return paths[0]

    def conversation(self, messages: Messages, tools: Any = None) -> list[Rendered]:
        """Every assistant turn as a target, but those with "train": False.

        One sequence as long as each turn's prompt, as the model will see it at that turn, continues what came before.
        Where the template rewrites history (earlier reasoning dropped), a new sequence begins at that turn.
        """
        return self._paths(messages, None, tools)

    def text(self, text: str) -> Rendered:
        """Raw text, all of it a target but the BOS, ended by EOS; special tokens spelled in it count as such."""
        ids, start, eos = self._codec.begin(text), len(self._codec.start), self._eos()
        while ids[start:] and ids[-1] == eos:
            ids = ids[:-1]
        return Rendered.of([(ids[:start], False), ([*ids[start:], eos], True)])

    def decode(self, ids: Sequence[int] | Ids, keep_special: bool = False) -> str:
        """Readable text of a sequence, or of the continuation of one; special tokens are left out unless kept."""
        return self._codec.decode([int(number) for number in ids], keep_special)

    def pieces(self, rendered: Rendered) -> list[tuple[str, bool]]:
        """Stretches of readable text, special tokens included, and whether each is a target."""
        borders = [0, *(np.flatnonzero(np.diff(rendered.mask)) + 1).tolist(), len(rendered.ids)]
        found, done = [], ""
        for begin, end in itertools.pairwise(borders):
            text = self.decode(rendered.ids[:end], keep_special=True)
            if end < len(rendered.ids):
                text = text.rstrip("\ufffd")  # a character cut in two is shown with its second half
            if begin < end:
                found.append((text[len(done) :], bool(rendered.mask[begin])))
            done = text
        return found

    def _paths(self, messages: Messages, given: int | None, tools: Any) -> list[Rendered]:
        """Sequences that hold the assistant turns from message `given` on; None means a conversation without prompt."""
        turns = [number for number in range(given or 0, len(messages)) if is_target(messages[number])]
        if not turns:
            raise RowError("no assistant message to train on; the row needs one whose 'train' is not false.")
        if turns[0] == 0:
            raise RowError("the conversation begins with an assistant message; put a user message first.")
        rows = self.thinking == "rows"
        thinking = self.thinking == "on" or (rows and any(reasoning_of(messages[number])[0] for number in turns))
        # With rows, a prompt does not know its completions: they share the prompt with thinking on, and a completion
        # without reasoning begins with the template's empty block, which is no target.
        shared = rows and given is not None
        clean = self._chat.clean(messages, thinking or shared)
        paths: list[tuple[list[int], list[bool]]] = []
        for number in turns:
            base = self._chat.text(clean[:number], tools) if shared and number == given else None
            ids, seen, targets = self._turn(clean[:number], clean[number], tools, thinking, base)
            before, mask = paths[-1] if paths else ([], [])
            if paths and len(before) <= seen and ids[: len(before)] == before:
                paths.pop()
            else:
                mask = []
            paths.append((ids, mask + [False] * (seen - len(mask)) + targets))
        kept = [Rendered(np.array(ids, np.int32), np.array(mask)) for ids, mask in paths if any(mask)]
        if not kept:
            raise RowError("the template's {% generation %} marks leave no token to train on; mend or replace it.")
        return kept

    def _turn(
        self, history: Messages, message: Message, tools: Any, thinking: bool, base: str | None
    ) -> tuple[list[int], int, list[bool]]:
        """Ids through the end of a turn, how many of them are seen before it, and which of the rest are targets."""
        turn = self._chat.turn(history, message, tools, thinking)
        start = base if base is not None and turn.prompt.startswith(base) else turn.prompt
        ids = self._begin(start)
        if len(start) < len(turn.prompt):
            ids = self._codec.extend(ids, start, turn.prompt[len(start) :])
        seen = len(ids)
        ids = self._codec.extend(ids, turn.prompt, turn.target)
        targets = [True] * (len(ids) - seen)
        if self._chat.marks:
            targets = self._marked([*history, message], tools, thinking, ids, seen) or targets
        return (ids, seen, targets) if turn.closed else ([*ids, self._eos()], seen, [*targets, True])

    def _marked(self, messages: Messages, tools: Any, thinking: bool, ids: list[int], seen: int) -> list[bool]:
        """Targets by the template's {% generation %} marks; none if its tokens are not ours. Ends stay targets."""
        written, inside = self._chat.marked(messages, tools, thinking)
        shift = 0 if written[: len(self._codec.start)] == self._codec.start else len(self._codec.start)
        if written[: len(ids) - shift] != ids[shift:]:
            return []
        targets = [bool(number) for number in inside[seen - shift : len(ids) - shift]]
        return [*targets[:-1], True] if any(targets) or len(targets) == 1 else targets

    def _is_text(self, prompt: Prompt) -> bool:
        return isinstance(prompt, str) and self.template_name == "plain"

    def _quoted(self, prompt: Prompt) -> str:
        return str(quote(str(prompt).removeprefix(self.tokenizer.bos_token or "\0"), self._special))

    def _begin(self, text: str) -> list[int]:
        last = self._last  # read once: another thread may set it meanwhile
        if text != last[0] or not text:
            self._last = last = (text, self._codec.begin(text))  # completions of one prompt come one after the other
        return list(last[1])

    def _eos(self) -> int:
        if self.tokenizer.eos_token_id is None:
            raise ModelError(
                "the tokenizer has no end-of-text token, so nothing can teach the model to stop; set its eos_token, "
                "or give a chat template that ends assistant turns with a special token."
            )
        return int(self.tokenizer.eos_token_id)


def _template(tokenizer: Any, template: str | None) -> tuple[str, str | None]:
    """The name of a template, and its source unless it is the tokenizer's own."""
    if template is None and tokenizer.chat_template:
        return "model", None
    if template in (None, "plain"):
        return "plain", PLAIN
    if "{" in str(template):
        return "inline", template
    path = Path(str(template)).expanduser()
    if not path.is_file():
        raise RecipeError(f"template {template!r} is neither 'plain', nor a Jinja text, nor a file that exists.")
    return path.name, path.read_text(encoding="utf-8")
