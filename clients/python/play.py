"""Plays an agent and a channel against a running Tandem, and prints what each of them saw as JSON.

The tests of this repository run it (services/tandem/tests/it/clients.rs); it is also an example of a whole round:
a visitor of a web page writes, triage asks, an agent answers, the answer is confirmed and read.
"""

import argparse
import json
import queue
import sys
import threading
import time

import grpc

from agent import Agent
from channel import Platform
from tandem_client import bearer, connect, conversations
from tandem.v1 import channel_pb2, conversations_pb2, types_pb2

BOUND_SECONDS = 20
VISITOR = "visitor-1"
WISH = "sales please"


class Stream:
    """Reads a stream in the background, so that waiting for the next item has a bound."""

    def __init__(self, items):
        self._items: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, args=(items,), daemon=True).start()

    def _read(self, items) -> None:
        try:
            for item in items:
                self._items.put(item)
        except grpc.RpcError as error:
            self._items.put(error)

    def next(self, what: str):
        try:
            item = self._items.get(timeout=BOUND_SECONDS)
        except queue.Empty:
            sys.exit(f"{what} did not come within {BOUND_SECONDS} s")
        if isinstance(item, grpc.RpcError):
            raise item
        return item

    def until(self, what: str, wanted):
        while True:
            item = self.next(what)
            if wanted(item):
                return item


def author(reply) -> str:
    return types_pb2.AuthorKind.Name(reply.author)


def visitor_asks(platform: Platform, replies: Stream, saw: dict) -> None:
    """The visitor writes; the page's first call is lost, so it delivers the message twice."""
    first = platform.deliver("m-1", VISITOR, text="hello", name="Ana Test")
    again = platform.deliver("m-1", VISITOR, text="hello", name="Ana Test")
    saw["repeat_is_the_same"] = first == again
    saw["conversation_id"] = first.conversation_id
    question = replies.next("the bot's question")
    saw["bot"] = {"author": author(question), "text": question.text, "visitor": question.customer.visitor_id}
    platform.confirm(question, channel_pb2.CONFIRMATION_DELIVERED)
    platform.deliver("m-2", VISITOR, text=WISH)
    farewell = replies.next("the bot's farewell")
    platform.confirm(farewell, channel_pb2.CONFIRMATION_DELIVERED)


def agent_answers(agent: Agent, events: Stream, reader, token: str, saw: dict) -> str:
    offer = events.until("an offer", lambda event: event.WhichOneof("event") == "offered").offered
    agent.take(offer)
    assigned = events.until("the assignment", lambda event: event.WhichOneof("event") == "assigned").assigned
    conversation_id = assigned.conversation_id
    saw["offer"] = {"queue": offer.queue_id, "conversation_id": offer.conversation_id}
    saw["history"] = history(reader, token, conversation_id)
    agent.say(conversation_id, "How can I help?")
    return conversation_id


def history(reader, token: str, conversation_id: str) -> list[str]:
    """What was said so far. The read model follows within moments: it is read until it has what the visitor said last."""
    request = conversations_pb2.ListMessagesRequest(conversation_id=conversation_id)
    deadline = time.monotonic() + BOUND_SECONDS
    while time.monotonic() < deadline:
        read = reader.ListMessages(request, metadata=bearer(token), timeout=10)
        said = [message.text for message in read.messages]
        if WISH in said:
            return said
        time.sleep(0.02)
    sys.exit(f"the visitor's last message was not to be read within {BOUND_SECONDS} s")


def visitor_is_answered(platform: Platform, stream, replies: Stream, saw: dict) -> None:
    """The platform loses the answer before it is confirmed: it comes again on the next stream."""
    answer = replies.next("the agent's answer")
    stream.cancel()
    repeated = Stream(platform.outgoing())
    again = repeated.until("the agent's answer once more", lambda reply: reply.opaque_id == answer.opaque_id)
    saw["answer"] = {
        "author": author(answer),
        "text": answer.text,
        "came_again": again.again and not answer.again,
        "opaque_id": answer.opaque_id,
    }
    for confirmation in ("SENT", "DELIVERED", "READ"):
        platform.confirm(again, channel_pb2.Confirmation.Value(f"CONFIRMATION_{confirmation}"), "web-7")


def refusals(platform: Platform, reader, channel_token: str) -> dict:
    """What a client that does it wrong is told."""
    told = {}
    try:
        platform.deliver("", VISITOR, text="x")
    except grpc.RpcError as error:
        told["no_message_id"] = [error.code().name, error.details()]
    try:
        reader.List(conversations_pb2.ListConversationsRequest(), metadata=bearer(channel_token), timeout=10)
    except grpc.RpcError as error:
        told["channel_token_elsewhere"] = [error.code().name, error.details()]
    return told


def main() -> None:
    arguments = argparse.ArgumentParser()
    for name in ("--address", "--agent-token", "--channel-token"):
        arguments.add_argument(name, required=True)
    told = arguments.parse_args()
    connection = connect(told.address)
    reader = conversations(connection)
    platform = Platform(connection, told.channel_token)
    agent = Agent(connection, told.agent_token)
    events = Stream(agent.events())
    events.until("the snapshot", lambda event: event.WhichOneof("event") == "snapshot")
    stream = platform.outgoing()
    replies = Stream(stream)
    saw: dict = {}
    visitor_asks(platform, replies, saw)
    conversation_id = agent_answers(agent, events, reader, told.agent_token, saw)
    visitor_is_answered(platform, stream, replies, saw)

    def is_read(event) -> bool:
        if event.WhichOneof("event") != "delivery_changed":
            return False
        return event.delivery_changed.delivery == types_pb2.DELIVERY_READ

    events.until("the agent sees that it was read", is_read)
    agent.resolve(conversation_id)
    events.until("the resolution", lambda event: event.WhichOneof("event") == "episode_resolved")
    agent.leave()
    saw["refusals"] = refusals(platform, reader, told.channel_token)
    print(json.dumps(saw), flush=True)


if __name__ == "__main__":
    main()
