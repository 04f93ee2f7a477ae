"""Find duplicates of trades of any age, in bounded memory."""
