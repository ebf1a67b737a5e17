"""A web chat in the terminal: you are the visitor, this program is the platform behind the page.

    .tools/python/venv/bin/python clients/python/web_chat.py --address 127.0.0.1:8081 --token <channel token>

Type a line and press Enter; a number chooses an option of a menu; Ctrl-D leaves.
"""

import argparse
import sys
import threading
import uuid

import grpc

from tandem_client import connect
from channel import Platform
from tandem.v1 import channel_pb2, types_pb2


class Chat:
    def __init__(self, platform: Platform, visitor: str, name: str):
        self._platform = platform
        self._visitor = visitor
        self._name = name
        self._options: list = []

    def listen(self) -> None:
        """Shows replies until the connection ends; a reply that comes again is confirmed, not shown again."""
        try:
            for reply in self._platform.outgoing():
                if reply.customer.visitor_id != self._visitor:
                    continue  # Another visitor's page shows and confirms it.
                if self._platform.is_new(reply):
                    self._show(reply)
                self._platform.confirm(reply, channel_pb2.CONFIRMATION_DELIVERED)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                print(f"(the connection ended: {error.details()})", file=sys.stderr)

    def say(self, line: str) -> None:
        place = int(line) if line.isdigit() else 0
        choice = self._options[place - 1] if 0 < place <= len(self._options) else None
        self._platform.deliver(uuid.uuid4().hex, self._visitor, text=line, choice=choice, name=self._name)

    def _show(self, reply) -> None:
        who = "agent" if reply.author == types_pb2.AUTHOR_KIND_AGENT else "bot"
        print(f"{who}: {reply.text or reply.media.link}", flush=True)
        if reply.HasField("menu"):
            self._options = list(reply.menu.options)
            for place, option in enumerate(self._options, 1):
                print(f"   {place}. {option.title}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description="A web chat in the terminal.")
    arguments.add_argument("--address", default="127.0.0.1:8081", help="where the desk listens")
    arguments.add_argument("--token", required=True, help="token of the channel")
    arguments.add_argument("--visitor", default=uuid.uuid4().hex, help="the same id goes on with the conversation")
    arguments.add_argument("--name", default="Visitor")
    told = arguments.parse_args()
    chat = Chat(Platform(connect(told.address), told.token), told.visitor, told.name)
    threading.Thread(target=chat.listen, daemon=True).start()
    for line in sys.stdin:
        if line.strip():
            chat.say(line.strip())


if __name__ == "__main__":
    main()
