"""The rooms that touch disk: labels, patches, matchups and splits (no torch)."""
