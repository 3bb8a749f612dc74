"""Tests that need torch or a process, on tiny checkpoints that they make themselves."""
