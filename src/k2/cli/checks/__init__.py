"""The checks of ``k2 doctor``, each of one thing and with its remedy."""
