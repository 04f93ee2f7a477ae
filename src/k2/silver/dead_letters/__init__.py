"""Dead letters: how they are stored, reported and replayed."""
