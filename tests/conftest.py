"""Hypothesis tries the same examples in every run, and takes its time.

A test passes or fails with the code, never with the machine.
"""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")
