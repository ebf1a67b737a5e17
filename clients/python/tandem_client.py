"""What every client of Tandem needs: a connection, a token on every call, and command ids.

The generated code (`tandem.v1…`) is made from proto/ by scripts/setup-python-client.sh.
"""

import pathlib
import sys
import uuid

import grpc

_GENERATED = pathlib.Path(__file__).resolve().parents[2] / ".tools" / "python" / "generated"
sys.path.insert(0, str(_GENERATED))

from tandem.v1 import channel_pb2_grpc, conversations_pb2_grpc, desk_pb2_grpc, types_pb2  # noqa: E402


def connect(address: str) -> grpc.Channel:
    """A connection to the desk. TLS goes here: grpc.secure_channel(address, grpc.ssl_channel_credentials())."""
    return grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])


def bearer(token: str):
    """Metadata that says who calls."""
    return [("authorization", f"Bearer {token}")]


class Commands:
    """Ids of commands: one random name per program run, numbers that rise. A repeat uses the same id."""

    def __init__(self):
        self._client = uuid.uuid4().hex
        self._number = 0

    def next(self) -> types_pb2.CommandId:
        self._number += 1
        return types_pb2.CommandId(client=self._client, number=self._number)


def agent_desk(channel: grpc.Channel) -> desk_pb2_grpc.AgentDeskStub:
    return desk_pb2_grpc.AgentDeskStub(channel)


def conversations(channel: grpc.Channel) -> conversations_pb2_grpc.ConversationsStub:
    return conversations_pb2_grpc.ConversationsStub(channel)


def platform(channel: grpc.Channel) -> channel_pb2_grpc.ChannelStub:
    return channel_pb2_grpc.ChannelStub(channel)
