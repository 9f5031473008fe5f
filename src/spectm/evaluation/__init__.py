"""How good is it, honestly: scores, baselines, the protocol and its report."""
