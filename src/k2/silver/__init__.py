"""Silver: valid trades once each; dead letters and duplicates beside them."""
