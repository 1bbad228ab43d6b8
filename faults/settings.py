"""The settings of a run: of its gateways, whose provider is the proxy, and of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from faults.plan import Carrier, Run

#: Calls that a sender may have under way at once; so many may be without an answer at a kill.
MAX_CALLS: Final = 8
#: How long a call may take, in seconds; short, so that a late answer is soon too late.
CALL_SECONDS: Final = 2
#: How long evidence is waited for before `on_unknown` decides, in seconds.
UNKNOWN_SECONDS: Final = 2
#: How long the lease of a process lives that was killed, in seconds. Short where that process comes
#: back alone, for it waits until then; where others take over it is as alir has it.
LEASE_SECONDS: Final = 2
_SECRET: Final = "a-callback-secret-of-the-fault-bench"
_FIRST_NUMBER_ID: Final = 1065000000

_CLOUD: Final = """
provider = "cloud"
phone_number_id = "{number_id}"
access_token = "simulator"
app_secret = "simulator"
graph_url = "{provider}/graph"
"""
_ROUTE_MOBILE: Final = f"""
provider = "routemobile"
base_url = "{{provider}}/routemobile"
username = "simulator"
password = "simulator"
callback_secret = "{_SECRET}"
"""
_CARRIERS: Final = {
    Carrier.CLOUD: _CLOUD,
    Carrier.ROUTE_MOBILE: _ROUTE_MOBILE,
    Carrier.WITH_EXTRA: f"{_ROUTE_MOBILE}send_extra = true\n",
}


def senders(run: Run) -> list[str]:
    """The names of a run's senders."""
    return [f"sender-{number}" for number in range(run.senders)]


def config(run: Run, *, provider: int, database: str) -> str:
    """The text of `alir.toml`; `provider`: the port at which gateways find the simulator."""
    text = f"""
database = "{database}"
[simulator]
enabled = false
[dispatch]
max_calls_per_sender = {MAX_CALLS}
call_timeout_seconds = {CALL_SECONDS}
connect_timeout_seconds = {CALL_SECONDS}
unknown_after_seconds = {UNKNOWN_SECONDS}
{f"lease_seconds = {LEASE_SECONDS}" if len(run.processes) == 1 else ""}
[log]
format = "json"
"""
    url = f"http://127.0.0.1:{provider}/simulator"
    for number, name in enumerate(senders(run)):
        carrier = _CARRIERS[run.carrier].format(provider=url, number_id=_FIRST_NUMBER_ID + number)
        text += f'[senders.{name}]\non_unknown = "{run.on_unknown}"\n{_pace(run)}{carrier}'
    return text


def _pace(run: Run) -> str:
    if run.limits is None:
        return "messages_per_second = 0\npair_seconds = 0\n"
    return (
        f"messages_per_second = {run.limits.per_second}\n"
        f"pair_seconds = {run.limits.pair_seconds}\n"
        f"pair_burst = {run.limits.pair_burst}\n"
    )


def behaviour(run: Run, seed: int) -> Mapping[str, Any]:
    """How the simulator behaves."""
    if run.limits is None:
        return {**run.behaviour, "seed": seed}
    limits = {
        "messages_per_second": run.limits.per_second,
        "pair_seconds": run.limits.pair_seconds,
        "pair_burst": run.limits.pair_burst,
    }
    return {**run.behaviour, "seed": seed, "limits": limits}


def callbacks(run: Run, *, door: int) -> list[str]:
    """The options of `alir simulator` that have it call back the gateways behind a door."""
    url = f"http://127.0.0.1:{door}/callbacks"
    if run.carrier is Carrier.CLOUD:
        return [f"--callback-url={url}/cloud"]
    return [f"--routemobile-callback-url={url}/routemobile/{_SECRET}"]
