"""A simulated lake, the satellite that looks at it, and the boat that samples it."""
