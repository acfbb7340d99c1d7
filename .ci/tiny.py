"""Make a model folder and a file of rows, small enough for a few steps in seconds: model/ and rows.jsonl."""

import json
import random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

COLORS = ("red", "green", "blue", "white")
THINGS = ("the door", "the boat", "the roof", "the lamp", "the gate")

logging.disable_progress_bar()
random.seed(0)
torch.manual_seed(0)
pairs = [(random.choice(THINGS), random.choice(COLORS), number) for number in range(200)]
rows = [
    {"prompt": f"House {number}: {thing} is {color}. What color is {thing}?", "completion": f"It is {color}."}
    for thing, color, number in pairs
]
with open("rows.jsonl", "w", encoding="utf-8") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows)

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=400,
    special_tokens=["<s>", "</s>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator((" ".join(row.values()) for row in rows), trainer)
PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained("model")
config = LlamaConfig(
    vocab_size=400,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    bos_token_id=0,
    eos_token_id=1,
)
LlamaForCausalLM(config).save_pretrained("model")
