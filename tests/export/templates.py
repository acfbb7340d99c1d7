"""Chat templates of the known families, written for these tests, with a tokenizer that has their markers."""

from typing import Any

from tests import templates
from tests.export.runs import byte_level

ZEPHYR = """\
{%- for message in messages -%}
{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\\n' }}{%- endif -%}
"""

LLAMA2 = """\
{%- if messages[0].role == 'system' -%}
{%- set before = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' -%}{%- set messages = messages[1:] -%}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- bos_token + '[INST] ' + (before | default('') if loop.first else '') + message.content | trim + ' [/INST]' -}}
{%- else -%}{{- ' ' + message.content | trim + ' ' + eos_token -}}{%- endif -%}
{%- endfor -%}
"""

LLAMA3 = """\
{{- bos_token -}}
{%- if messages[0].role == 'system' -%}
{%- set system = messages[0].content | trim -%}{%- set messages = messages[1:] -%}
{%- else -%}{%- set system = '' -%}{%- endif -%}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday is 26 Jul 2024\\n\\n' + system + '<|eot_id|>' -}}
{%- for message in messages -%}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}
"""

MISTRAL = """\
{{- bos_token -}}
{%- set system = '' -%}
{%- if messages[0].role == 'system' -%}
{%- set system = messages[0].content + '\\n\\n' -%}{%- set messages = messages[1:] -%}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{{- '[INST] ' + (system if loop.first else '') + message.content + '[/INST]' -}}
{%- else -%}{{- ' ' + message.content + eos_token -}}{%- endif -%}
{%- endfor -%}
"""

GEMMA = """\
{{- bos_token -}}
{%- if messages[0].role == 'system' -%}
{%- set before = messages[0].content + '\\n\\n' -%}{%- set messages = messages[1:] -%}
{%- else -%}{%- set before = '' -%}{%- endif -%}
{%- for message in messages -%}
{%- set role = 'model' if message.role == 'assistant' else message.role -%}
{{- '<start_of_turn>' + role + '\\n' + (before if loop.first else '') + message.content | trim + '<end_of_turn>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}
"""

STRICT = GEMMA.replace(
    "{%- set before = messages[0].content",
    "{{- raise_exception('no system role') -}}{%- set before = messages[0].content",
)

QWEN = (
    """\
{%- if messages[0].role != 'system' -%}
{{- '<|im_start|>system\\nYou are a "helpful" assistant.<|im_end|>\\n' -}}
{%- endif -%}
"""
    + templates.CHATML
)

SPROUT = """\
{%- for message in messages -%}
{{- '<' + message.role + '>' + message.content + '</s>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}
"""

MARKERS = {
    ZEPHYR: ("<|user|>", "<|assistant|>", "<|system|>"),
    LLAMA3: ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    GEMMA: ("<start_of_turn>", "<end_of_turn>"),
    STRICT: ("<start_of_turn>", "<end_of_turn>"),
    SPROUT: ("<system>", "<user>", "<assistant>"),
}
FAMILIES = {
    "chatml": templates.CHATML,
    "chatml with a default system message": QWEN,
    "llama 2": LLAMA2,
    "llama 3": LLAMA3,
    "mistral": MISTRAL,
    "gemma": GEMMA,
    "gemma without a system role": STRICT,
    "zephyr": ZEPHYR,
    "sprout": SPROUT,
    "thinking off": templates.THINKER,
}


def tokenizer_of(template: str) -> Any:
    """A byte-level tokenizer with the markers of a template; it has a start token, and adds none by itself."""
    return byte_level(template, markers=MARKERS.get(template, ("<|im_start|>", "<|im_end|>")), bos=True)
