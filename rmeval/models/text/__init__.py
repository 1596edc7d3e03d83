"""From a conversation to token ids: templates, tokenizers' own files, special tokens, the day."""
