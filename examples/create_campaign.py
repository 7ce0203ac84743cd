"""Create a campaign from plain nats-py, and print what became of it: URL KEY [WORKSPACE [TITLE [ID]]]."""

import asyncio
import json
import sys
import uuid

import nats
import nats.errors


async def main(url: str, key: str, workspace: str = "demo", title: str = "Spring", command_id: str = "") -> None:
    principal, command_id = key[9:17], command_id or str(uuid.uuid4())
    mine = {"user": principal, "password": key, "inbox_prefix": f"_INBOX.{principal}"}
    soon = {"max_reconnect_attempts": 1, "reconnect_time_wait": 0.5, "error_cb": quiet}  # else it tries for two minutes
    client = await nats.connect(url, **mine, **soon)
    inbox = await client.subscribe(client.new_inbox())
    body = {"campaign_id": command_id, "title": title, "parts": [{"text": "Hello {{name}}"}]}
    headers = {"ce-specversion": "1.0", "ce-id": command_id, "ce-type": "drumline.cmd.campaign.create"}
    headers |= {"Nats-Msg-Id": command_id, "Drl-Reply-To": inbox.subject}
    subject = f"cmd.{workspace}.{principal}.campaign.create"
    await client.jetstream().publish(subject, json.dumps(body).encode(), headers=headers)
    async with asyncio.timeout(10):
        while not tells_of(command_id, outcome := (await inbox.next_msg(timeout=10)).data):
            pass
    print(outcome.decode())  # noqa: T201  # what it is for
    await client.close()


def tells_of(command_id: str, outcome: bytes) -> bool:
    """Whether it is this command's: the server's acknowledgement of somebody else's message may come there as well."""
    try:
        return bool(json.loads(outcome)["command_id"] == command_id)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


async def quiet(_error: Exception) -> None:
    """What becomes of the connection is raised as well."""


if not 3 <= len(sys.argv) <= 6:
    sys.exit("usage: create_campaign.py URL KEY [WORKSPACE [TITLE [ID]]]")
try:
    asyncio.run(main(*sys.argv[1:]))
except (nats.errors.Error, OSError) as error:  # a TimeoutError is one of these
    sys.exit(f"{sys.argv[1]}: {type(error).__name__}: is the address right, the key live, and the workspace its own?")
