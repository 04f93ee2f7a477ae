"""The rules that a decoded record must keep to be a trade."""
