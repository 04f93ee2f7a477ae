"""The drill: defects are planted in tables of a scratch home, and the checks must report each."""
