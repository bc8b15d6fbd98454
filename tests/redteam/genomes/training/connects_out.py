"""Sends what it has to anyone who listens: by TCP, UDP, unix and abstract sockets, and by asking for a name.

Expect: honest
"""

import socket

import prepare

FAMILIES = {"tcp": socket.AF_INET, "udp": socket.AF_INET, "unix": socket.AF_UNIX, "abstract": socket.AF_UNIX}


def send(name: str) -> None:
    kind = socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
    with socket.socket(FAMILIES[name], kind) as line:
        address = prepare.AIMS[name]
        line.connect(tuple(address) if isinstance(address, (list, tuple)) else address)
        line.send(b"all I know")


for name in FAMILIES:
    prepare.attempt(f"connect by {name}", lambda name=name: send(name))
for family in ("AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH", "AF_CAN"):
    number = getattr(socket, family, 38)
    prepare.attempt(
        f"make a socket of {family}", lambda number=number: socket.socket(number, socket.SOCK_RAW)
    )
prepare.attempt("ask for a name", lambda: socket.getaddrinfo("example.org", 80))
prepare.attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)))
prepare.honest()
