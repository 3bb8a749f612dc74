"""`likely bench`: how fast Likely is on this machine, and how far from the limit."""

MEASUREMENTS = ("start", "memory", "documents", "typing", "passes", "accepting", "hovering")
"""What can be measured, in the order in which it is."""
