"""How fast alir is on this machine, beside a plain design and a bare prototype.

`python -m bench --help` says what can be chosen; `docs/reference/speed.md` says what each figure
means. Every figure comes from real processes: the gateway, a provider that is never the limit
(`bench.provider`) and a load generator (wrk where it is installed, else `bench.load`).
"""
