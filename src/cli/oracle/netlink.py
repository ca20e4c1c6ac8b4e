"""Netlink by hand: messages, attributes, requests, dumps and events. Standard library only."""
import errno
import os
import socket
import struct

ROUTE, NETFILTER = 0, 12
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
REPLACE, EXCLUSIVE, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
ERROR, DONE = 2, 3
NESTED = 0x8000
SOL_NETLINK, ADD_MEMBERSHIP, EXTENDED_ACK = 270, 1, 11
SO_RCVBUFFORCE = 33
HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
LARGEST = 1 << 17
CHUNK = 30_000


class KernelRefusal(Exception):
    """The kernel said no to something that the case asks for."""

    def __init__(self, what, code, reason=""):
        super().__init__(f"{what}: {os.strerror(code)}{f' ({reason})' if reason else ''}")
        self.code = code


def attribute(kind, value):
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    size = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(size, kind) + value + bytes(-size & 3)


def nested(kind, *parts):
    return attribute(kind | NESTED, b"".join(parts))


def attribute_list(data, at=0):
    found = []
    while at + ATTRIBUTE.size <= len(data):
        size, kind = ATTRIBUTE.unpack_from(data, at)
        if size < ATTRIBUTE.size:
            break
        found.append((kind & 0x3FFF, bytes(data[at + ATTRIBUTE.size : at + size])))
        at += (size + 3) & ~3
    return found


def attributes(data, at=0):
    """Attributes by their kind; of one that comes twice, the last."""
    return dict(attribute_list(data, at))


def word(data):
    return struct.unpack("!I", data)[0]


def half(data):
    return struct.unpack("!H", data)[0]


def long(data):
    return struct.unpack("!Q", data)[0]


def text(data):
    return data.rstrip(b"\0").decode()


def netfilter_header(family, resource=0):
    return struct.pack("!BBH", family, 0, resource)


class Netlink:
    """A netlink socket of the namespace that this thread is in when it is made."""

    def __init__(self, protocol, groups=(), buffer=0):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        if buffer:
            widen(self.socket, buffer)
        self.socket.setsockopt(SOL_NETLINK, EXTENDED_ACK, 1)
        self.socket.bind((0, 0))
        for group in groups:
            self.socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
        self.sequence = 0

    def message(self, kind, flags, body):
        self.sequence += 1
        size = HEADER.size + len(body)
        return HEADER.pack(size, kind, flags | REQUEST, self.sequence, 0) + body + bytes(-size & 3)

    def send(self, requests):
        """Each request is (kind, flags, body, what it is for). Raises KernelRefusal for the first that fails."""
        waiting, chunk = {}, b""
        for kind, flags, body, what in requests:
            message = self.message(kind, flags | ACK, body)
            if chunk and len(chunk) + len(message) > CHUNK:
                self.exchange(chunk, waiting)
                chunk = b""
            chunk += message
            waiting[self.sequence] = what
        if chunk:
            self.exchange(chunk, waiting)

    def transaction(self, subsystem, requests):
        """All of the requests or none (nf_tables)."""
        waiting = {}
        parts = [self.message(0x10, 0, netfilter_header(0, subsystem))]
        for kind, flags, body, what in requests:
            parts.append(self.message(subsystem << 8 | kind, flags | ACK, body))
            waiting[self.sequence] = what
        parts.append(self.message(0x11, 0, netfilter_header(0, subsystem)))
        self.exchange(b"".join(parts), waiting)

    def exchange(self, data, waiting):
        self.socket.send(data)
        refusal = None
        while waiting:
            for kind, _, sequence, payload in messages(self.socket.recv(LARGEST)):
                if kind != ERROR:
                    continue
                what = waiting.pop(sequence, "a transaction")
                refusal = refusal or refused(payload, what)
                if refusal is not None and what == "a transaction":
                    raise refusal
        if refusal is not None:
            raise refusal

    def ask(self, kind, body, what):
        self.socket.send(self.message(kind, 0, body))
        for answer, _, _, payload in messages(self.socket.recv(LARGEST)):
            if answer == ERROR:
                refusal = refused(payload, what)
                if refusal is not None:
                    raise refusal
            return payload
        raise KernelRefusal(what, errno.ENODATA)

    def dump(self, kind, body, what="a dump"):
        self.socket.send(self.message(kind, DUMP, body))
        wanted, found = self.sequence, []
        while True:
            for answer, _, sequence, payload in messages(self.socket.recv(LARGEST)):
                if sequence != wanted:
                    continue
                if answer == DONE:
                    return found
                if answer == ERROR:
                    refusal = refused(payload, what)
                    if refusal is not None:
                        raise refusal
                    return found
                found.append(payload)

    def events(self):
        """What has been told so far, as (kind, flags, payload), without waiting."""
        found = []
        while True:
            try:
                data = self.socket.recv(LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            found.extend((kind, flags, payload) for kind, flags, _, payload in messages(data))

    def close(self):
        self.socket.close()


def messages(data):
    at = 0
    while at + HEADER.size <= len(data):
        size, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        yield kind, flags, sequence, data[at + HEADER.size : at + size]
        at += (size + 3) & ~3


def refused(payload, what):
    code = -struct.unpack_from("=i", payload)[0]
    if code == 0:
        return None
    size = struct.unpack_from("=I", payload, 4)[0]
    for at in (4 + HEADER.size, 4 + ((size + 3) & ~3)):
        reason = attributes(payload, at).get(1, b"")
        if reason[:1].isalpha():
            return KernelRefusal(what, code, text(reason))
    return KernelRefusal(what, code)


def widen(target, size):
    """A larger receive buffer; beyond the limit where this process may."""
    try:
        target.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
