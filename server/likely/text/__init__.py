"""Bytes, tokens and positions; imports neither torch nor pygls."""
