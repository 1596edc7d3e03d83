"""Text from language models: a server's or a local one's."""
