"""Numbers in, numbers out: sensors, windows and indices (numpy only)."""
