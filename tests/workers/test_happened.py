"""A refused decision about something that happened is an error that people see; one of the ordinary course is none."""

import logging
from collections.abc import Iterator
from uuid import uuid4

import orjson
import pytest

from adapters import metrics
from adapters.inbound import Inbound
from adapters.progress import SentMessage
from adapters.sealing import Sealing
from adapters.sessions import Sessions
from adapters.unplaced import Unplaced
from adapters.vault import Vault
from domain.account import ReportReady, ReportTrouble, Trouble
from domain.message import Command, StreamId, WaId, WorkspaceId, derive
from domain.ports import Ack, AckChanged, Arrived, MessageArrived
from domain.recipient import EraseRecipient
from domain.send import ConfirmSend, Doubt, DoubtSend, IntendSend
from infra.logs import Json
from tests.workers.core import HERE, MASTER, PEPPER, Core, until
from workers import happened
from workers.arrivals import Arrivals
from workers.receipts import Receipts
from workers.requests import Outcome

SOME = uuid4()
NOWHERE = WorkspaceId("nowhere")
FAILED = "something that happened cannot be recorded"
REFUSED = "something that happened was refused, and is not recorded"


@pytest.fixture(autouse=True)
def rules() -> Iterator[None]:
    metrics.know_rules(["unknown_workspace", "never_intended", "unknown_account", "no_open_intent"])
    metrics.LOST.clear()
    yield
    metrics.LOST.clear()


def lost(fact: str, reason: str) -> float:
    return metrics.REGISTRY.get_sample_value("drumline_facts_lost_total", {"fact": fact, "reason": reason}) or 0.0


@pytest.mark.parametrize(
    ("command", "rule", "seen"),
    [
        (ReportReady(SOME), "unknown_account", "session"),
        (ReportTrouble(SOME, Trouble.STALLED), "fence", ""),
        (ConfirmSend(SOME, 0), "no_open_intent", "send"),
        (DoubtSend(SOME, 0, Doubt.RESTARTED), "no_open_intent", ""),
        (EraseRecipient(SOME), "unknown_recipient", ""),
        (EraseRecipient(SOME), "no_open_intent", "erasure"),
    ],
)
def test_what_is_refused_in_the_ordinary_course_does_not_alarm(
    command: Command, rule: str, seen: str, caplog: pytest.LogCaptureFixture
) -> None:
    happened.heed(command, Outcome("refused", StreamId("x-1"), 0, rule=rule))
    happened.heed(command, Outcome("applied", StreamId("x-1"), 1))
    assert [record.getMessage() for record in caplog.records] == [REFUSED] * bool(seen)
    assert lost(seen, rule) == bool(seen)


def arrivals(house: Core, workspace: WorkspaceId) -> Arrivals:
    sealing = Sealing(MASTER, PEPPER)
    inbound = Inbound(house.pool, sealing, Vault(house.pool, sealing))
    return Arrivals(inbound, Unplaced(house.pool, sealing), house.decisions, workspace, uuid4())


async def test_a_message_that_is_refused_is_seen(house: Core, caplog: pytest.LogCaptureFixture) -> None:
    taken = arrivals(house, NOWHERE)
    taken.tell(MessageArrived("AAA", Arrived.TEXT, 1.0, "+12025550143", "", "STOP"))
    await taken.finish()
    assert lost("message", "unknown_workspace") == 1
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == REFUSED
    assert (record.__dict__["account_id"], record.__dict__["rule"]) == (str(taken._account), "unknown_workspace")
    assert record.__dict__["stream"].startswith("recipient-")
    assert "2025550143" not in str(record.__dict__)


async def test_one_message_that_cannot_be_kept_costs_no_other(house: Core, caplog: pytest.LogCaptureFixture) -> None:
    taken = arrivals(house, HERE)
    for wa_id in ("\ud800", "A\0", "AAA"):
        taken.tell(MessageArrived(wa_id, Arrived.TEXT, 1.0, "+12025550143", "", "STOP"))
    taken.tell(MessageArrived("BBB", Arrived.TEXT, float("nan"), "+12025550143", "\ud800", "STOP"))
    await taken.finish()
    names = [type(event).__name__ for event in await house.events()]
    assert "RecipientOptedOut" in names
    assert lost("message", "failed") == 2
    told = [Json().format(record) for record in caplog.records if record.getMessage() == FAILED]
    lines = [orjson.loads(line) for line in told]
    assert [(line["workspace"], line["account_id"]) for line in lines] == [(HERE, str(taken._account))] * 2
    assert [line.get("message_id") for line in lines] == [None, str(derive("inbound", taken._account, "BBB"))]
    assert all("arrivals.py:" in " ".join(line["places"]) for line in lines)
    assert "2025550143" not in "".join(told)


async def test_one_receipt_that_is_refused_or_cannot_be_looked_up_costs_no_other(
    house: Core, caplog: pytest.LogCaptureFixture
) -> None:
    receipts = Receipts(Sessions(house.pool), house.decisions)
    ours = SentMessage(WaId("3EB0" + "A" * 18), uuid4(), 0, HERE)
    receipts.begin(ours).in_flight = False
    receipts.take(HERE, AckChanged(("3EB0\0", "\ud800", ours.wa_id), Ack.DELIVERED))
    async with house.running(receipts.run):
        await until(lambda: lost("receipt", "failed") == 2)
        await until(lambda: lost("receipt", "never_intended") == 1)
    told = [orjson.loads(Json().format(one)) for one in caplog.records if one.getMessage() in (FAILED, REFUSED)]
    assert [(one["message"], one.get("workspace"), one.get("delivery_id")) for one in told] == [
        (FAILED, HERE, None),
        (FAILED, HERE, None),
        (REFUSED, None, str(ours.delivery_id)),
    ]


def test_a_wish_may_be_refused() -> None:
    assert IntendSend not in happened.FACTS
