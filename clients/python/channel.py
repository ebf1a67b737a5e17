"""The platform of a channel: brings messages in until they are durable, gets replies out exactly once."""

import time

import grpc

from tandem_client import bearer, platform
from tandem.v1 import channel_pb2

# What may be repeated with the same ids after a pause.
AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}
TRIES = 10


class Platform:
    def __init__(self, connection, token: str):
        self._stub = platform(connection)
        self._metadata = bearer(token)
        self._sent: set = set()

    def deliver(self, message_id: str, visitor_id: str, text: str = "", choice=None, name: str = ""):
        """Brings a message in. Returns when it is durable; `message_id` makes repeating harmless."""
        request = channel_pb2.DeliverRequest(
            message_id=message_id,
            customer=channel_pb2.ChannelCustomer(visitor_id=visitor_id, name=name),
        )
        if choice is not None:
            request.choice.CopyFrom(channel_pb2.ChannelChoice(id=choice.id, title=choice.title))
        else:
            request.text = text
        for attempt in range(TRIES):
            try:
                return self._stub.Deliver(request, metadata=self._metadata, timeout=10)
            except grpc.RpcError as error:
                if error.code() not in AGAIN or attempt == TRIES - 1:
                    raise
                time.sleep(0.2 * 2**attempt)

    def outgoing(self, after_sequence: int = 0):
        """The stream of replies; cancel it with `.cancel()`."""
        request = channel_pb2.OutgoingRequest(after_sequence=after_sequence)
        return self._stub.Outgoing(request, metadata=self._metadata)

    def is_new(self, reply) -> bool:
        """A reply comes at least once: whoever shows it asks here first. A real platform keeps this durably."""
        if reply.opaque_id in self._sent:
            return False
        self._sent.add(reply.opaque_id)
        return True

    def confirm(self, reply, confirmation, platform_message_id: str = "") -> None:
        """Says what became of a reply: the stream does not bring it again."""
        request = channel_pb2.ConfirmRequest(
            opaque_id=reply.opaque_id, confirmation=confirmation, platform_message_id=platform_message_id
        )
        self._stub.Confirm(request, metadata=self._metadata, timeout=10)
