"""Python imports this by itself at its start, where its folder is on PYTHONPATH: no connection, and a note of each try.

An audit hook hears of every use of a socket, also from compiled code that goes through Python's socket module, and an
exception in it ends the attempt. Children of the process inherit it with the environment.
"""

import os
import sys

WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def hear(event: str, args: tuple[object, ...]) -> None:
    """Refuse and write down what would leave this machine; sockets that are files do not."""
    if event not in WATCHED:
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and not isinstance(args[1], tuple):
        return  # the address of a Unix socket is a path
    with open(os.environ["WATCHED_SOCKETS"], "a", encoding="utf-8") as file:
        file.write(f"{event} {args[1:]!r}\n" if event != "socket.getaddrinfo" else f"{event} {args!r}\n")
    raise ConnectionRefusedError(111, f"the test allows no {event}")


sys.addaudithook(hear)
