"""An agent at the desk: signs in, takes what is offered, answers."""

import queue
import threading

from tandem_client import Commands, agent_desk, bearer
from tandem.v1 import desk_pb2

HEARTBEAT_SECONDS = 5


class Agent:
    """One session. Events come from `events()`; commands go out by the methods."""

    def __init__(self, connection, token: str):
        self._commands = Commands()
        self._requests: queue.Queue = queue.Queue()
        self._ended = threading.Event()
        self._put(sign_in=desk_pb2.SignIn(presence=desk_pb2.PRESENCE_AVAILABLE))
        self._stream = agent_desk(connection).Session(iter(self._requests.get, None), metadata=bearer(token))
        threading.Thread(target=self._beat, daemon=True).start()

    def events(self):
        """Everything the desk says, but heartbeats."""
        for event in self._stream:
            if event.WhichOneof("event") != "heartbeat":
                yield event

    def take(self, offer) -> None:
        """The offer is on the screen, and accepted. (`delivered` starts the offer's clock.)"""
        self._put(offer_delivered=desk_pb2.OfferDelivered(offer_id=offer.offer_id))
        self._command(accept_offer=desk_pb2.AcceptOffer(offer_id=offer.offer_id))

    def say(self, conversation_id: str, text: str) -> None:
        self._command(send=desk_pb2.SendMessage(conversation_id=conversation_id, text=text))

    def resolve(self, conversation_id: str) -> None:
        self._command(resolve=desk_pb2.Resolve(conversation_id=conversation_id))

    def leave(self) -> None:
        self._ended.set()
        self._requests.put(None)

    def _command(self, **request) -> None:
        self._put(command_id=self._commands.next(), **request)

    def _put(self, **request) -> None:
        self._requests.put(desk_pb2.DeskRequest(**request))

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            self._put(heartbeat=desk_pb2.Heartbeat())
