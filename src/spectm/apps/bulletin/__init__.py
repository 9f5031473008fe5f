"""The weekly page: what was seen, what changed, what is expected, and how well that went before."""
