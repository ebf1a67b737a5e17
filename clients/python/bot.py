"""A bot of the business's own: Tandem calls it for each turn.

    .tools/python/venv/bin/python clients/python/bot.py --listen 127.0.0.1:9090 --token <bot token>

It asks what the customer wants with a menu, and hands over to a queue with what it has understood. `--listen` with port
0 takes any free port; the address is printed as the first line.
"""

import argparse
import hmac
from concurrent import futures

import grpc

import tandem_client  # noqa: F401  (makes the generated code importable)
from tandem.v1 import bot_pb2, bot_pb2_grpc, channel_pb2, desk_pb2

OPTIONS = {"sales": "Buy something", "help": "Get help"}


class TriageBot(bot_pb2_grpc.BotServicer):
    """Keeps nothing: a turn that is asked for twice gets the same answer."""

    def __init__(self, token: str):
        self._bearer = f"Bearer {token}"

    def Turn(self, request, context):  # noqa: N802 (the name of the RPC)
        shown = dict(context.invocation_metadata()).get("authorization", "")
        if not hmac.compare_digest(shown.encode(), self._bearer.encode()):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "unknown token")
        if any("thank" in message.text.lower() for message in request.heard):
            yield say(text="You are welcome.")
            yield bot_pb2.TurnResponse(resolve=bot_pb2.BotResolve())
            return
        chosen = self._chosen(request.heard)
        if chosen is None:
            yield self._menu(request.contact.name)
            return  # The end of the stream: wait for the customer.
        yield say(text=f"{OPTIONS[chosen]}: a colleague is with you in a moment.")
        wish = desk_pb2.CollectedField(name="wish", value=OPTIONS[chosen])
        yield bot_pb2.TurnResponse(
            hand_off=bot_pb2.BotHandOff(queue_id=chosen, reason="chosen_from_menu", fields=[wish])
        )

    @staticmethod
    def _chosen(heard):
        for message in heard:
            for option in OPTIONS:
                if message.choice_id == option or option in message.text.lower():
                    return option
        return None

    @staticmethod
    def _menu(name: str):
        options = [channel_pb2.ChannelMenuOption(id=option, title=title) for option, title in OPTIONS.items()]
        text = f"Hello {name or 'there'}, what can we do for you?"
        return say(menu=bot_pb2.BotMenu(text=text, options=options))


def say(**content):
    return bot_pb2.TurnResponse(say=bot_pb2.BotSay(**content))


def serve(listen: str, token: str):
    """A running server and its port; `.stop(None)` ends it."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    bot_pb2_grpc.add_BotServicer_to_server(TriageBot(token), server)
    port = server.add_insecure_port(listen)
    if port == 0:
        raise SystemExit(f"{listen} is taken: choose another port")
    server.start()
    return server, port


def main() -> None:
    arguments = argparse.ArgumentParser(description="An external bot.")
    arguments.add_argument("--listen", default="127.0.0.1:9090")
    arguments.add_argument("--token", required=True, help="token of [business.bot.external]")
    told = arguments.parse_args()
    server, port = serve(told.listen, told.token)
    print(f"{told.listen.rsplit(':', 1)[0]}:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
