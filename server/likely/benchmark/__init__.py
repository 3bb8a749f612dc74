"""`likely bench`: how long a keystroke takes here, and how far that is from the limit."""
