"""How work that is under way makes way for other work."""


class Interrupted(Exception):  # noqa: N818 - to be set aside is no error
    """Raised in the middle of a pass that has to make way; what it computed is kept."""
