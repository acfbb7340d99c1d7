"""Handing over what was trained: merged models, adapters, GGUF, Ollama, vLLM, the hub; one file per target."""
