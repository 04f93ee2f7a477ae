"""What ``k2 doctor`` looks at, one thing a check, each with its remedy."""
