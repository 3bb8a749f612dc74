"""The model in this process: decoders of our own over a tree of tokens."""
