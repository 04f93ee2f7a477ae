"""An independent judge of K2's tables. It shares no code with k2, and must import none of it.

What it expects is derived from the written contract and from the exchanges' documents alone.
"""
