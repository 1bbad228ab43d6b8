"""A commit that nobody can look up: what its caller is told, and where that leads."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tests.running import in_a_loop
from tests.seed import mended
from tests.unit.api.serving import MESSAGES, TOKEN, a_gateway
from tests.unit.store.faulty import Faults, always, nothing

from alir.store import sqlite, writer

#: Never due, so that nothing but the store has to do with it.
LATER = mended() | {"send_at": "2999-01-01T00:00:00Z"}
HEADERS = {"authorization": f"Bearer {TOKEN}", "idempotency-key": "k"}


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Those of every connection that the gateway opens."""
    monkeypatch.chdir(tmp_path)  # no alir.toml of the developer's
    found = Faults(tmp_path / "alir.db")
    monkeypatch.setattr(sqlite, "connect", lambda _path, **_: found.connect())
    return found


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_who_is_left_in_doubt_is_told_how_to_find_out(
    faults: Faults, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    def fail_for_good() -> None:
        faults.on_connect = always
        always()

    async with (
        a_gateway(faults.path) as gateway,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(gateway.app), base_url="http://test", headers=HEADERS
        ) as client,
    ):
        (await client.get(MESSAGES)).raise_for_status()  # the API token is known from now on
        monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.1)
        if took_effect:
            faults.after_commit = fail_for_good
        else:
            faults.before_commit = fail_for_good
        doubtful = await client.post(MESSAGES, json=LATER)

        told = doubtful.json()
        assert (doubtful.status_code, told["type"]) == (503, "/problems/store_unavailable")
        assert int(doubtful.headers["retry-after"]) > 0
        assert f"GET {MESSAGES}/{told['id']}" in told["detail"]
        assert "same Idempotency-Key" in told["detail"]

        faults.on_connect = faults.before_commit = faults.after_commit = nothing
        found = await client.get(f"{MESSAGES}/{told['id']}")
        assert found.status_code == (200 if took_effect else 404)
        again = await client.post(MESSAGES, json=LATER)
        assert again.status_code == 202
        assert (again.json()["data"]["id"] == told["id"]) == took_effect
        assert len((await client.get(MESSAGES)).json()["data"]) == 1


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_each_of_a_batch_that_is_left_in_doubt_is_told_its_id(
    faults: Faults, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    def fail_for_good() -> None:
        faults.on_connect = always
        always()

    bodies = [LATER | {"idempotency_key": f"k{n}"} for n in range(3)] + [{"to": "letters"}]
    async with (
        a_gateway(faults.path) as gateway,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(gateway.app),
            base_url="http://test",
            headers={"authorization": f"Bearer {TOKEN}"},
        ) as client,
    ):
        (await client.get(MESSAGES)).raise_for_status()  # the API token is known from now on
        monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.1)
        if took_effect:
            faults.after_commit = fail_for_good
        else:
            faults.before_commit = fail_for_good
        items = (await client.post(f"{MESSAGES}/batch", json=bodies)).json()["data"]

        assert [item["status"] for item in items] == [503, 503, 503, 422]
        told = [item["problem"]["id"] for item in items[:3]]
        assert all(id_ in item["problem"]["detail"] for id_, item in zip(told, items, strict=False))

        faults.on_connect = faults.before_commit = faults.after_commit = nothing
        again = (await client.post(f"{MESSAGES}/batch", json=bodies)).json()["data"]
        assert [item["status"] for item in again] == [202, 202, 202, 422]
        assert ([item["data"]["id"] for item in again[:3]] == told) == took_effect
        assert len((await client.get(MESSAGES)).json()["data"]) == 3
