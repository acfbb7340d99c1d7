"""The chat template as other programs apply it, so that they get the token ids of the training.

Others render without our switches: they neither turn thinking off nor add the start token to a template that leaves it
to the tokenizer. Where that would change the ids, the exported template does it by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import jinja2

from espalier.errors import ModelError
from espalier.export.conversations import Message, Talk, same_ids
from espalier.export.source import Source

STARTS = ("", "{{- bos_token -}}\n", "{{- bos_token + ' ' -}}\n")  # the last where a text gets a space before it


def shared_template(source: Source, talks: Sequence[Talk]) -> str:
    """The template of the training, made to need no switches.

    Raises:
        ModelError: no form of it gives the ids of the training.
    """
    thinking = "false" if source.renderer.thinking == "off" else "true"
    switch = "".join(
        f"{{%- if {name} is not defined -%}}{{%- set {name} = {thinking} -%}}{{%- endif -%}}\n"
        for name in ("enable_thinking", "thinking")
    )
    problem = None
    for start, fixed in product(STARTS, ("", switch)):
        template = fixed + start + source.template
        try:
            same_ids(talks, [chat_ids(source.renderer.tokenizer, talk.asked, template) for talk in talks], "the export")
        except ModelError as error:
            problem = problem or error
        else:
            return template
    raise ModelError(str(problem)) from problem


def chat_ids(tokenizer: Any, messages: Sequence[Message], template: str | None = None) -> list[int]:
    """Token ids of a prompt as transformers and vLLM make them."""
    given = {"chat_template": template, "add_generation_prompt": True, "return_dict": False}
    try:
        return list(tokenizer.apply_chat_template(list(messages), tokenize=True, **given))
    except jinja2.TemplateError:
        return []


def chat_text(tokenizer: Any, messages: Sequence[Message], template: str | None = None) -> str:
    """The text of a prompt without the start token, which others add by themselves.

    Raises:
        jinja2.TemplateError: the template refuses the messages.
    """
    given = {"chat_template": template, "add_generation_prompt": True}
    text = str(tokenizer.apply_chat_template(list(messages), tokenize=False, **given))
    return text.removeprefix(tokenizer.bos_token or "\0")
