"""Dead letters: stored, reported, and decided again."""
