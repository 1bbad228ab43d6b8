"""alir's core on a virtual clock, in a world that a seed makes: does it keep its promises?

One process holds everything: two gateways, with intake, queue, dispatch and receipts as they run,
on one real store, which lies on SQLite in memory; and around them callers, a provider, a network, a
disk and a scheduler that do what a seed says. Gateways are killed between any two steps, stand
still, and are started again on the same store. After each schedule three books are compared: what
callers were answered, what the store holds, and what the provider got.

`python -m simulation --help` says what can be chosen; `docs/reference/simulation.md` says what is
checked, and which planted bugs it found.
"""
