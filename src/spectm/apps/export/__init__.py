"""Files that other programs open, each with where its numbers come from inside."""
