"""Where weights come from: the default model, the hub, folders and GGUF files, and their cache."""
