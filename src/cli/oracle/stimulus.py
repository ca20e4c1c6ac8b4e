"""The steps of a case, one method each."""
import errno
import shutil
import socket
import struct
import subprocess
import time

import packet
from namespace import Namespace
from network import GET_NEIGHBOUR, NEW_LINK, UP, link_header
from netlink import attributes

IP_TTL, IP_TRANSPARENT, IP_MTU_DISCOVER, IP_RECVERR = 2, 19, 10, 11
SO_BROADCAST, SO_BINDTODEVICE, SO_MARK = 6, 25, 36
OPTIONS = {
    "ttl": (socket.IPPROTO_IP, IP_TTL),
    "pmtudisc": (socket.IPPROTO_IP, IP_MTU_DISCOVER),
    "transparent": (socket.IPPROTO_IP, IP_TRANSPARENT),
    "broadcast": (socket.SOL_SOCKET, SO_BROADCAST),
    "mark": (socket.SOL_SOCKET, SO_MARK),
}
MSG_ERRQUEUE = 0x2000
NO_ARP = 0x40
NEIGHBOUR_STATES = ("INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "NOARP", "PERMANENT")
ALL_WRITTEN = 64
TICK = 0.011


class Unknown(Exception):
    """A socket that an earlier step was to open and did not."""


class Stimuli:
    """Performs steps; `watch` is called between the packets of a long one, so that nothing overflows."""

    def __init__(self, network, watch):
        self.network = network
        self.watch = watch
        self.sockets = {}

    def perform(self, step):
        """What the step answers; what the kernel refuses is an answer too."""
        result = {}
        try:
            getattr(self, f"do_{step['op']}", self.unknown)(step, result)
        except Unknown as unknown:
            result["err"] = str(unknown)
        except OSError as refusal:
            result["err"] = errno.errorcode.get(refusal.errno, str(refusal))
        return result

    def unknown(self, step, _):
        raise ValueError(f'no step "{step["op"]}"')

    def namespace(self, step) -> Namespace:
        return self.network.namespace(step["ns"])

    # Packets.

    def do_frame(self, step, _):
        namespace, device = self.network.device(step["at"])
        data = packet.frame(step["frame"])
        for i in range(step.get("count", 1)):
            namespace.inject(device, data)
            if i % ALL_WRITTEN == ALL_WRITTEN - 1:
                self.watch()

    def do_raw(self, step, _):
        data = packet.packet(step["pkt"])
        with self.open(step, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(data, (step.get("to") or step["pkt"]["ip"]["dst"], 0))

    # Sockets.

    def open(self, step, kind, protocol=0):
        with self.namespace(step):
            opened = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.SOCK_DGRAM:
            opened.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        for name, value in step.get("opts", {}).items():
            if name == "bindtodevice":
                opened.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, value.encode() + b"\0")
            else:
                opened.setsockopt(*OPTIONS[name], int(value))
        return opened

    def keep(self, step, opened):
        if "bind" in step:
            opened.bind(tuple(step["bind"]))
        if "id" in step:
            self.sockets[step["id"]] = opened
        return opened

    def socket(self, step):
        if step["id"] not in self.sockets:
            raise Unknown(f"no socket '{step['id']}'")
        return self.sockets[step["id"]]

    def do_udp(self, step, _):
        self.keep(step, self.open(step, socket.SOCK_DGRAM))

    def do_tcp(self, step, _):
        self.keep(step, self.open(step, socket.SOCK_STREAM))

    def do_listen(self, step, _):
        self.keep(step, self.open(step, socket.SOCK_STREAM)).listen(16)

    def do_connect(self, step, result):
        result["err"] = errno.errorcode.get(self.socket(step).connect_ex(tuple(step["to"])), 0)

    def do_accept(self, step, result):
        accepted, peer = self.socket(step).accept()
        accepted.setblocking(False)
        self.sockets[step["as"]] = accepted
        result["from"] = list(peer)

    def do_send(self, step, result):
        sender, data = self.socket(step), packet.payload(step)
        result["n"] = sender.sendto(data, tuple(step["to"])) if "to" in step else sender.send(data)

    def do_recv(self, step, result):
        receiver = self.socket(step)
        result["got"] = []
        while True:
            try:
                data, peer = receiver.recvfrom(1 << 16)
            except BlockingIOError:
                return
            result["got"].append({"from": list(peer) if peer else None, "len": len(data), "hex": data[:64].hex()})
            if not data:
                return

    def do_errq(self, step, result):
        receiver = self.socket(step)
        result["errq"] = []
        while True:
            try:
                _, ancillary, _, to = receiver.recvmsg(2048, 512, MSG_ERRQUEUE)
            except BlockingIOError:
                return
            for level, kind, data in ancillary:
                if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR):
                    code, _, icmp_type, icmp_code, information = struct.unpack_from("=IBBBxI", data)
                    offender = socket.inet_ntoa(data[20:24]) if len(data) >= 24 else None
                    told = {"errno": errno.errorcode.get(code), "icmp": [icmp_type, icmp_code], "info": information}
                    result["errq"].append({**told, "offender": offender, "to": list(to)})

    def do_shutdown(self, step, _):
        self.socket(step).shutdown(step.get("how", 1))

    def do_close(self, step, _):
        self.socket(step).close()
        del self.sockets[step["id"]]

    # The world.

    def do_sleep(self, step, _):
        time.sleep(step["ms"] / 1000)

    def do_sysctl(self, step, _):
        self.namespace(step).set_sysctl(step["key"], step["value"])

    def do_rules(self, step, _):
        self.namespace(step).rules.load(step["text"])

    def do_link(self, step, _):
        namespace, device = self.network.device(step["dev"])
        header = link_header(namespace.index(device), UP if step["up"] else 0, UP)
        namespace.route.send([(NEW_LINK, 0, header, f"to set {step['dev']}")])
        self.network.settle()

    def do_age(self, step, _):
        # The kernel tells whole seconds, rounded down: those under way have begun for sure.
        time.sleep(TICK)
        self.namespace(step).connections.age(step["s"])

    def do_flushct(self, step, _):
        self.namespace(step).connections.flush()

    def do_tool(self, step, result):
        tool = step["command"].split()[0]
        if not shutil.which(tool):
            raise ValueError(f"{tool} is not installed")
        # Some tools read /sys, which shows the namespace that it was mounted in.
        script = "mount -t sysfs sysfs /sys && mount -t tmpfs none /run && exec sh -c \"$0\""
        with self.namespace(step):
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, step["command"]], capture_output=True, text=True)
        self.namespace(step).rules.numbers = None
        result.update(out=done.stdout, err=done.stderr, status=done.returncode)

    def do_state(self, step, result):
        namespace = self.namespace(step)
        result["conntrack"] = {namespace.name: namespace.connections.table()}
        result["neigh"], result["fdb"] = neighbours(namespace), bridge_entries(namespace)

    def close(self):
        reset = struct.pack("ii", 1, 0)
        for opened in self.sockets.values():
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            opened.close()
        self.sockets.clear()


def neighbours(namespace):
    found = []
    for payload in namespace.route.dump(GET_NEIGHBOUR, struct.pack("=BBHiHBB", 2, 0, 0, 0, 0, 0, 0)):
        index, state = struct.unpack_from("=4xiH", payload)
        fields = attributes(payload, 12)
        if state & NO_ARP:
            continue
        entry = {"dev": namespace.names.get(index, str(index)), "ip": socket.inet_ntoa(fields[1])}
        entry["mac"] = packet.format_mac(fields[2]) if 2 in fields else None
        entry["state"] = [name for bit, name in enumerate(NEIGHBOUR_STATES) if state >> bit & 1]
        found.append(entry)
    return sorted(found, key=lambda entry: (entry["dev"], entry["ip"]))


def bridge_entries(namespace):
    found = []
    for payload in namespace.route.dump(GET_NEIGHBOUR, struct.pack("=BxHiII", 7, 0, 0, 0, 0)):
        family, index, state = struct.unpack_from("=B3xiH", payload)
        fields = attributes(payload, 12)
        if family != 7 or 9 not in fields:
            continue
        bridge = struct.unpack("=I", fields[9])[0]
        entry = {"dev": namespace.names.get(index, str(index)), "mac": packet.format_mac(fields[2])}
        entry["br"] = namespace.names.get(bridge, str(bridge))
        entry["state"] = "permanent" if state & 0x80 else "static" if state & 0x40 else "learned"
        found.append(entry)
    return sorted(found, key=lambda entry: (entry["br"], entry["dev"], entry["mac"]))
