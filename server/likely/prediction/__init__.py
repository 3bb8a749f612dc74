"""What the project is for: pure functions over a small LanguageModel protocol."""
