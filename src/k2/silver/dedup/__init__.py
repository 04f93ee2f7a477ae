"""Which trades Silver has, of any age, in bounded memory."""
