"""Rules over a prediction store, a journal of what they found, and receivers that are told."""
