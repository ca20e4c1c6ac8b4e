"""What a namespace tells while a case runs: frames of every device, the rule trace, connection tracking."""
import ctypes
import socket
import struct

import firewall
import netlink
import packet
from netlink import attribute, attributes, half, long, netfilter_header, text, word

SOL_PACKET, AUXILIARY = 263, 8
SO_TIMESTAMPNS = 35
EVERY_PROTOCOL = 3
libc = ctypes.CDLL(None, use_errno=True)
UNFINISHED_CHECKSUM = 8
OUTGOING = 4
CLASSES = ("host", "bcast", "mcast", "other")


def packet_socket():
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    opened.setblocking(False)
    netlink.widen(opened, 64 << 20)
    return opened


def listen_everywhere(opened):
    address = struct.pack("=HHiHBB8x", socket.AF_PACKET, socket.htons(EVERY_PROTOCOL), 0, 0, 0, 0)
    if libc.bind(opened.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), "bind of the capture")


class FrameTap:
    """Every frame of every device, in the order of the taps."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.socket = packet_socket()
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(SOL_PACKET, AUXILIARY, 1)
        listen_everywhere(self.socket)
        self.latest = 0

    def collect(self):
        """(time, frame) in order; a frame that a bridge hands up keeps its port's time, so time is kept from going back."""
        found = []
        while True:
            try:
                data, ancillary, _, (_, _, kind, _, _) = received = self.socket.recvmsg(1 << 16, 128)
            except BlockingIOError:
                return found
            status = 0
            for level, name, value in ancillary:
                if (level, name) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    seconds, nanoseconds = struct.unpack_from("=qq", value)
                    self.latest = max(self.latest, seconds * 10**9 + nanoseconds)
                elif (level, name) == (SOL_PACKET, AUXILIARY):
                    status = struct.unpack_from("=I", value)[0]
            if status & UNFINISHED_CHECKSUM:
                data = packet.completed(data)
            frame = {"ns": self.namespace.name, "dev": received[3][0], "dir": "out" if kind == OUTGOING else "in"}
            if kind != OUTGOING:
                frame["cls"] = CLASSES[kind]
            frame["hex"] = data.hex()
            found.append((self.latest, frame))

    def close(self):
        self.socket.close()


TRACE_GROUP = 9
VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", 5: "stop"}
VERDICTS |= {-1 & 0xFFFFFFFF: "continue", -2 & 0xFFFFFFFF: "break", -3 & 0xFFFFFFFF: "jump"}
VERDICTS |= {-4 & 0xFFFFFFFF: "goto", -5 & 0xFFFFFFFF: "return"}
POLICY, RULE = 1, 3
CONNECTION_STATES = {1: "INVALID", 2: "ESTABLISHED", 4: "RELATED", 8: "NEW", 64: "UNTRACKED"}


class RuleTap:
    """Who decided what about each packet, as `xtables-monitor --trace` and `nft monitor trace` hear of it."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.socket = netlink.Netlink(netlink.NETFILTER, groups=(TRACE_GROUP,), buffer=32 << 20)

    def collect(self):
        records = (self.record(payload) for kind, _, payload in self.socket.events() if kind == firewall.TRACE)
        return [record for record in records if record is not None]

    def record(self, payload):
        fields = attributes(payload, 4)
        table, chain, kind = text(fields[1]), text(fields[2]), word(fields[4])
        family = firewall.FAMILY_NAMES[payload[0]]
        if kind == RULE and 3 not in fields:
            return None  # the end of a chain that has rules
        if table == firewall.TABLE:
            return self.hook_record(family, chain, fields) if kind == RULE else None
        record = {"ns": self.namespace.name, "family": family, "table": table, "chain": chain}
        record["type"] = {POLICY: "policy", RULE: "rule"}.get(kind, "return")
        if 3 in fields:
            record["rule"] = self.namespace.rules.number(table, chain, long(fields[3]))
        if 16 in fields:
            record["verdict"] = VERDICTS[word(fields[16])]
        if 5 in fields:
            verdict = attributes(fields[5])
            record["verdict"] = VERDICTS.get(word(verdict[1]), "unknown")
            if 2 in verdict:
                record["to"] = text(verdict[2])
        return record

    def hook_record(self, family, chain, fields):
        hook, edge = chain.split(" ")
        record = {"ns": self.namespace.name, "family": family, "hook": hook, "at": edge}
        for key, number in (("iif", 10), ("oif", 12)):
            if number in fields:
                index = word(fields[number])
                record[key] = self.namespace.names.get(index, index)
        if 14 in fields and word(fields[14]):
            record["mark"] = word(fields[14])
        if 21 in fields:
            record["ct"] = CONNECTION_STATES.get(word(fields[21]), word(fields[21]))
        if 19 in fields:
            record["ctdir"] = ("orig", "reply")[fields[19][0]]
        return record

    def close(self):
        self.socket.close()


CONNTRACK = 1 << 8
NEW, GET, DELETE = 0, 1, 2
CONNECTION_GROUPS = (1, 2, 3)
STATUS = (
    "EXPECTED SEEN_REPLY ASSURED CONFIRMED SRC_NAT DST_NAT SEQ_ADJUST SRC_NAT_DONE DST_NAT_DONE DYING FIXED_TIMEOUT "
    "TEMPLATE NAT_CLASH HELPER OFFLOAD HW_OFFLOAD"
).split()
TCP_STATES = "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2".split()
SCTP_STATES = (
    "NONE CLOSED COOKIE_WAIT COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT SHUTDOWN_RECD SHUTDOWN_ACK_SENT HEARTBEAT_SENT"
).split()
# By the protocol's part of CTA_PROTOINFO.
STATES = {1: ("tcp_state", TCP_STATES), 3: ("sctp_state", SCTP_STATES)}
ORIGINAL, REPLY, TIMEOUT, ZONE = 1, 2, 7, 18


class ConnectionTap:
    """Connections as they come, change and go, and the table of them."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.socket = netlink.Netlink(netlink.NETFILTER, groups=CONNECTION_GROUPS, buffer=32 << 20)
        self.known = {}  # the names by which the kernel finds each connection that lives

    def collect(self):
        found = []
        for kind, flags, payload in self.socket.events():
            if kind & ~0xFF != CONNTRACK:
                continue
            fields = attributes(payload, 4)
            gone = kind & 0xFF == DELETE
            if gone:
                self.known.pop(names_of(fields), None)
            else:
                self.known[names_of(fields)] = True
            connection = read_connection(fields)
            event = {"ns": self.namespace.name, "ev": "DESTROY" if gone else "NEW" if flags & netlink.CREATE else "UPDATE"}
            event["orig"], event["reply"] = (format_tuple(connection[side]) for side in ("orig", "reply"))
            event["status"] = connection.get("status", [])
            for protocol in ("tcp", "sctp"):
                if f"{protocol}_state" in connection:
                    event[protocol] = connection[f"{protocol}_state"]
            if "timeout" in connection:
                event["timeout"] = connection["timeout"]
            found.append(event)
        return found

    def living(self):
        """What the kernel now knows of each connection, one by one: its one table for all namespaces is slow to walk."""
        for names in list(self.known):
            try:
                yield names, attributes(self.namespace.netfilter.ask(CONNTRACK | GET, connection_header(names), "a flow"), 4)
            except netlink.KernelRefusal:
                pass  # it is over, and nobody was told yet

    def table(self):
        return [read_connection(fields) for _, fields in self.living()]

    def flush(self):
        self.namespace.netfilter.send([(CONNTRACK | DELETE, 0, connection_header(b""), "to flush connections")])

    def age(self, seconds):
        """Takes time from every connection at once, as if it had passed."""
        requests = []
        for names, fields in self.living():
            left = word(fields[TIMEOUT]) - seconds
            if left <= 0:
                requests.append((CONNTRACK | DELETE, 0, connection_header(names), "to end a connection"))
            else:
                body = connection_header(names) + attribute(TIMEOUT, struct.pack("!I", left))
                requests.append((CONNTRACK | NEW, 0, body, "to age a connection"))
        self.namespace.netfilter.send(requests)

    def close(self):
        self.socket.close()


def connection_header(names):
    return netfilter_header(2) + names


def names_of(fields):
    zone = attribute(ZONE, fields[ZONE]) if ZONE in fields else b""
    return attribute(ORIGINAL | netlink.NESTED, fields[ORIGINAL]) + zone


def read_tuple(data):
    fields = attributes(data)
    addresses, protocol = attributes(fields[1]), attributes(fields[2])
    found = {"src": socket.inet_ntoa(addresses[1]), "dst": socket.inet_ntoa(addresses[2]), "proto": protocol[1][0]}
    for key, kind in (("sport", 2), ("dport", 3), ("icmp_id", 4)):
        if kind in protocol:
            found[key] = half(protocol[kind])
    for key, kind in (("icmp_type", 5), ("icmp_code", 6)):
        if kind in protocol:
            found[key] = protocol[kind][0]
    if 3 in fields:
        found["zone"] = half(fields[3])
    return found


def format_tuple(tuple_):
    if "icmp_id" in tuple_:
        kind = f"{tuple_['icmp_type']}/{tuple_['icmp_code']}"
        return f"{tuple_['src']}>{tuple_['dst']} icmp {kind} id={tuple_['icmp_id']}"
    ends = f"{tuple_['src']}:{tuple_.get('sport', 0)}>{tuple_['dst']}:{tuple_.get('dport', 0)}"
    return f"{ends} p{tuple_['proto']}"


def read_connection(fields):
    found = {"orig": read_tuple(fields[ORIGINAL]), "reply": read_tuple(fields[REPLY])}
    if 3 in fields:
        bits = word(fields[3])
        found["status"] = [name for bit, name in enumerate(STATUS) if bits >> bit & 1]
    for kind, state in attributes(fields.get(4, b"")).items():
        if kind in STATES:
            name, states = STATES[kind]
            found[name] = states[attributes(state)[1][0]]
    if TIMEOUT in fields:
        found["timeout"] = word(fields[TIMEOUT])
    if 8 in fields and word(fields[8]):
        found["mark"] = word(fields[8])
    if ZONE in fields:
        found["zone"] = half(fields[ZONE])
    for side, kind in (("orig", 9), ("reply", 10)):
        if kind in fields:
            counts = attributes(fields[kind])
            found[side]["packets"], found[side]["bytes"] = long(counts[1]), long(counts[2])
    return found
