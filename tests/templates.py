"""Chat templates for tests, each with one habit of the real ones, written for a tokenizer of tests.tokenizers."""

CHATML = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""

MARKED = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.role == 'assistant' -%}
{%- generation -%}{{- message.content -}}{%- endgeneration -%}
{%- else -%}{{- message.content -}}{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""
"""ChatML whose author marked what is generated, and forgot the end of the turn."""

THINKER = """\
{%- set last = namespace(question=-1) -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{%- set last.question = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- if tools -%}{{- '<|im_start|>system\\n' + tools | tojson + '<|im_end|>\\n' -}}{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.role == 'assistant' -%}
{%- set answer = message.content or '' -%}
{%- set why = message.reasoning_content or '' -%}
{%- if '</think>' in answer -%}
{%- set why = answer.split('</think>')[0].replace('<think>', '').strip() -%}
{%- set answer = answer.split('</think>')[1].lstrip() -%}
{%- endif -%}
{%- if loop.index0 > last.question and (why or loop.last) -%}
{{- '<think>\\n' + why + '\\n</think>\\n\\n' -}}
{%- endif -%}
{{- answer -}}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>' + call.function | tojson + '</tool_call>' -}}
{%- endfor -%}
{%- else -%}{{- message.content -}}{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and not enable_thinking -%}{{- '<think>\\n\\n</think>\\n\\n' -}}{%- endif -%}
{%- endif -%}
"""
"""Drops the reasoning of turns before the last question; thinking is on unless switched off (Qwen3's logic)."""

OPENED = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
{{- '<|im_start|>' + message.content.split('</think>')[-1] + '<|im_end|>' -}}
{%- else -%}{{- message.content -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|><think>\\n' -}}{%- endif -%}
"""
"""Opens the reasoning in the header and never shows it in a finished turn (DeepSeek-R1's habit)."""

INST = """\
{%- if messages[0].role == 'system' -%}
{%- set before = '<<SYS>>' + messages[0].content + '<</SYS>>' -%}
{%- set messages = messages[1:] -%}
{%- else -%}{%- set before = '' -%}{%- endif -%}
{%- for message in messages -%}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('roles must alternate user and assistant') -}}
{%- endif -%}
{%- if message.role == 'user' -%}
{{- bos_token + '[INST] ' + (before if loop.first else '') + message.content | trim + ' [/INST]' -}}
{%- else -%}{{- ' ' + message.content | trim + ' ' + eos_token -}}{%- endif -%}
{%- endfor -%}
"""
"""Turns between brackets, BOS before each question, no header, strict roles (Llama 2's habit)."""

TAILED = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- else -%}{{- eos_token -}}{%- endif -%}
"""
"""EOS once, after the last turn, beside each turn's own end (Phi-3's habit)."""

UNCLOSED = """\
{%- for message in messages -%}
{{- '### ' + message.role + ':\\n' + message.content + '\\n\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### assistant:\\n' -}}{%- endif -%}
"""
"""Nothing ends a turn (Alpaca's form)."""

SHOUTING = """\
{%- for message in messages -%}{{- message.content | upper + '<|im_end|>' -}}{%- endfor -%}
"""
"""Changes what it is given."""
