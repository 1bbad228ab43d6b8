"""The settings of a run's gateways: one sender, `main`, whose provider is the proxy."""

from __future__ import annotations

from typing import Final

from faults.plan import Carrier, Run

#: Calls that a sender may have under way at once; so many may be without an answer at a kill.
MAX_CALLS: Final = 8
#: How long a call may take, in seconds; short, so that a late answer is soon too late.
CALL_SECONDS: Final = 2
#: How long evidence is waited for before `on_unknown` decides, in seconds.
UNKNOWN_SECONDS: Final = 2
_SECRET: Final = "a-callback-secret-of-the-fault-bench"

_CLOUD: Final = """
provider = "cloud"
phone_number_id = "1065000000"
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
_SENDERS: Final = {
    Carrier.CLOUD: _CLOUD,
    Carrier.ROUTE_MOBILE: _ROUTE_MOBILE,
    Carrier.WITH_EXTRA: f"{_ROUTE_MOBILE}send_extra = true\n",
}


def config(run: Run, *, provider: int, database: str) -> str:
    """The text of `alir.toml`; `provider`: the port at which gateways find the simulator."""
    sender = _SENDERS[run.carrier].format(provider=f"http://127.0.0.1:{provider}/simulator")
    return f"""
database = "{database}"
[dispatch]
max_calls_per_sender = {MAX_CALLS}
call_timeout_seconds = {CALL_SECONDS}
connect_timeout_seconds = {CALL_SECONDS}
unknown_after_seconds = {UNKNOWN_SECONDS}
[log]
format = "json"
[senders.main]
messages_per_second = 0
pair_seconds = 0
on_unknown = "{run.on_unknown}"
{sender}"""


def callbacks(run: Run, *, door: int) -> list[str]:
    """The options of `alir simulator` that have it call back the gateways behind a door."""
    url = f"http://127.0.0.1:{door}/callbacks"
    if run.carrier is Carrier.CLOUD:
        return [f"--callback-url={url}/cloud"]
    return [f"--routemobile-callback-url={url}/routemobile/{_SECRET}"]
