"""For tests outside alir: the contract that every provider keeps.

`alir.testing.provider` is where to begin. Needs pytest and hypothesis, which alir itself does not.
"""
