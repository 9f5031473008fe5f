"""Scripts for those who work on spectm; nothing of it is installed."""
