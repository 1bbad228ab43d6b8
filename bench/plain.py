"""The plain design, to be measured beside alir: what one writes first, and most leave it at that.

FastAPI with pydantic models; a SQLAlchemy session and one commit a request; a worker that polls
the table, sends with httpx, and commits each result. It keeps less than alir promises: no
attempts, no events, no idempotency, and a crash may send a message twice.
"""

import argparse
import asyncio
import hmac
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import httpx
import phonenumbers
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, String, event, select, update
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

POLL_SECONDS = 0.05
BATCH = 100
CALLS_AT_ONCE = 20


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HeaderIn(Strict):
    type: Literal["text", "media"]
    text: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    media: Annotated[str, Field(max_length=2048)] | None = None


class ParamIn(Strict):
    body: Annotated[str, Field(min_length=1, max_length=1024)]
    header: HeaderIn | None = None
    footer: Annotated[str, Field(min_length=1, max_length=60)] | None = None


class FlowIn(Strict):
    id: Annotated[str, Field(min_length=1, max_length=64)]
    token: Annotated[str, Field(min_length=1, max_length=1024)]
    text: Annotated[str, Field(min_length=1, max_length=30)]
    screen: Annotated[str, Field(min_length=1, max_length=256)]
    param: ParamIn
    action: Literal["navigate", "data_exchange"] = "navigate"
    mode: Literal["published", "draft"] = "published"
    data: dict[str, Any] | None = None


class MessageIn(Strict):
    to: str
    type: Literal["flow"]
    flow: FlowIn
    callback_data: Annotated[str, Field(max_length=256)] | None = None


class MessageOut(BaseModel):
    id: str
    status: str


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "message"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    to: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(10), index=True)
    flow: Mapped[dict[str, Any]] = mapped_column(JSON)
    callback_data: Mapped[str | None] = mapped_column(String(256))
    wamid: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[datetime] = mapped_column()


Sessions = async_sessionmaker[AsyncSession]


def engine_of(path: str) -> AsyncEngine:
    """SQLite as durable as alir's: WAL, and every commit on the disk before it returns."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def durable(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return engine


def graph_body(message: Message) -> dict[str, Any]:
    flow = message.flow
    param = flow["param"]
    parameters = {
        "flow_message_version": "3",
        "flow_id": flow["id"],
        "flow_token": flow["token"],
        "flow_cta": flow["text"],
        "flow_action": flow["action"],
        "mode": flow["mode"],
        "flow_action_payload": {"screen": flow["screen"], "data": flow["data"]},
    }
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.to,
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "header": param["header"],
            "body": {"text": param["body"]},
            "footer": {"text": param["footer"]},
            "action": {"name": "flow", "parameters": parameters},
        },
        "biz_opaque_callback_data": message.id,
    }


class Worker:
    """Polls for queued messages and sends them, a few at once."""

    def __init__(
        self, sessions: Sessions, client: httpx.AsyncClient, url: str, *, at_once: int
    ) -> None:
        self._sessions = sessions
        self._client = client
        self._url = url
        self._slots = asyncio.Semaphore(at_once)

    async def run(self) -> None:
        waiting = (
            select(Message)
            .where(Message.status == "queued")
            .order_by(Message.created_at)
            .limit(BATCH)
        )
        while True:
            async with self._sessions() as session:
                messages = (await session.scalars(waiting)).all()
            if not messages:
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.gather(*map(self._send, messages))

    async def _send(self, message: Message) -> None:
        async with self._slots:
            answer = await self._client.post(self._url, json=graph_body(message))
            taken = answer.status_code == httpx.codes.OK
            wamid = answer.json()["messages"][0]["id"] if taken else None
            status = "accepted" if taken else "failed"
            async with self._sessions() as session:
                settled = update(Message).where(Message.id == message.id)
                await session.execute(settled.values(status=status, wamid=wamid))
                await session.commit()


def application(*, database: str, url: str, token: str, at_once: int) -> FastAPI:
    """The app; with no calls at once, messages are taken and stored but stay queued."""
    engine = engine_of(database)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    app = FastAPI(lifespan=_lifespan(engine, sessions, url, at_once))

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    async def authorize(authorization: Annotated[str, Header()]) -> None:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401)

    @app.post("/messages", status_code=202, dependencies=[Depends(authorize)])
    async def post(message: MessageIn, db: Annotated[AsyncSession, Depends(session)]) -> MessageOut:
        number = phonenumbers.parse(message.to)
        if not phonenumbers.is_valid_number(number):
            raise HTTPException(422, "no such number")
        row = Message(
            id=str(uuid.uuid4()),
            to=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
            status="queued",
            flow=message.flow.model_dump(),
            callback_data=message.callback_data,
            created_at=datetime.now(UTC),
        )
        db.add(row)
        await db.commit()
        return MessageOut(id=row.id, status=row.status)

    return app


def _lifespan(
    engine: AsyncEngine, sessions: Sessions, url: str, at_once: int
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        headers = {"Authorization": "Bearer bench"}
        async with httpx.AsyncClient(limits=limits, headers=headers, timeout=30) as client:
            worker = Worker(sessions, client, url, at_once=at_once)
            task = asyncio.create_task(worker.run()) if at_once else None
            yield
            if task is not None:
                task.cancel()
        await engine.dispose()

    return lifespan


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.plain", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True, help="path of the SQLite file")
    parser.add_argument("--url", required=True, help="where the provider takes messages")
    parser.add_argument(
        "--calls", type=int, default=CALLS_AT_ONCE, help="calls at once; 0: messages are not sent"
    )
    given = parser.parse_args(arguments)
    app = application(
        database=given.database,
        url=given.url,
        token=os.environ["PLAIN_TOKEN"],
        at_once=given.calls,
    )
    uvicorn.run(
        app, port=given.port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
