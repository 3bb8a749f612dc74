"""Hypothesis tries the same examples in every run: a test passes or fails with the code."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")
