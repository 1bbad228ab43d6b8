"""Where this machine itself reaches a gateway."""

from __future__ import annotations


def base_url(host: str, port: int) -> str:
    """The URL of a gateway that listens on `host`.

    >>> base_url("0.0.0.0", 8080), base_url("::1", 80)
    ('http://127.0.0.1:8080', 'http://[::1]:80')
    """
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
