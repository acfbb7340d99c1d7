"""Trees: a prompt and the completions that share it, computed once, without padding and without full logits."""
