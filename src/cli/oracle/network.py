"""Builds the network of a case: devices, cables, addresses, routes."""
import ctypes
import fcntl
import ipaddress
import socket
import struct
import time

from namespace import write_sysctl
from netlink import CREATE, EXCLUSIVE, REPLACE, attribute, attributes, nested
from packet import address, mac

NEW_LINK, GET_LINK, NEW_ADDRESS, NEW_ROUTE, NEW_NEIGHBOUR, GET_NEIGHBOUR, NEW_RULE = 16, 18, 20, 24, 28, 30, 32
UP = 1
BRIDGE_PORT = {"hairpin": 4, "learning": 8, "flood": 9, "mcast_flood": 27, "bcast_flood": 30, "isolated": 33}
AGEING = 4
FORWARD_DELAY, STP, MULTICAST_SNOOPING = 1, 5, 23
# ETHTOOL_STXCSUM, ETHTOOL_SGSO, ETHTOOL_STSO: frames carry their checksums, and leave in the sizes that a wire has.
OFFLOADS = (0x17, 0x24, 0x1F)
SIOCETHTOOL = 0x8946
ROUTE_TYPES = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
ACTIONS = {"lookup": 1, "blackhole": 6, "unreachable": 7, "prohibit": 8}
TABLES = {"local": 255, "main": 254, "default": 253}
STATIC = 4
UNIVERSE, LINK, HOST = 0, 253, 254
OPERATIONAL_STATE, CARRIER = 16, 33
OPERATIONAL = 6


def link_header(index, flags=0, change=0):
    return struct.pack("=BxHiII", 0, 0, index, flags, change)


class Network:
    """The namespaces of a case, built in the order that fixes indexes and MAC addresses."""

    def __init__(self, case, reserve):
        self.case = case
        self.specs = case["namespaces"]
        self.places = {name: place for place, name in enumerate(self.specs)}
        self.count = 1
        self.reserve = reserve
        self.namespaces = reserve.take(self.specs)
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        families = self.case.get("trace", ["ip"])
        for name, namespace in self.namespaces.items():
            namespace.rules.trace(families)
            if self.specs[name].get("ipsets"):
                namespace.rules.load_sets(self.specs[name]["ipsets"])
            if self.specs[name].get("rules"):
                namespace.rules.start(self.specs[name]["rules"])
        self.add_devices()
        for name, namespace in self.namespaces.items():
            self.prepare(name, namespace)
        for name, namespace in self.namespaces.items():
            namespace.route.send(self.raising(name, namespace))
        for name, namespace in self.namespaces.items():
            namespace.route.send(self.layer3(name, namespace))
        for namespace in self.namespaces.values():
            namespace.rules.finish()
        self.settle()

    def namespace(self, name):
        if name not in self.namespaces:
            raise ValueError(f"no namespace {name}")
        return self.namespaces[name]

    def device(self, end):
        name, _, device = end.partition("/")
        namespace = self.namespace(name)
        namespace.index(device)
        return namespace, device

    # Devices.

    def register(self, name, device):
        namespace = self.namespace(name)
        self.count += 1
        spec = dict(self.specs[name].get("devs", {}).get(device, {}))
        spec["index"] = self.count
        spec.setdefault("mac", f"02:00:00:00:{self.places[name]:02x}:{len(namespace.devices) + 1:02x}")
        namespace.devices[device] = spec
        namespace.names[self.count] = device
        return spec

    def add_devices(self):
        for name, spec in self.specs.items():
            requests = [(NEW_LINK, 0, link_header(1, UP, UP), f"{name}/lo")]
            for device, options in spec.get("devs", {}).items():
                if options.get("type") in ("bridge", "dummy"):
                    made = self.register(name, device)
                    kind = nested(18, attribute(1, options["type"]), bridge_options(options))
                    requests.append((NEW_LINK, CREATE | EXCLUSIVE, describe(device, made) + kind, f"{name}/{device}"))
            self.namespaces[name].route.send(requests)
        for near, far in self.case.get("veths", []):
            (name, device), (peer_name, peer_device) = near.split("/", 1), far.split("/", 1)
            mine, other = self.register(name, device), self.register(peer_name, peer_device)
            there = attribute(28, self.namespaces[peer_name].descriptor)
            peer = nested(2, attribute(1, describe(peer_device, other) + there))
            body = describe(device, mine) + nested(18, attribute(1, "veth"), peer)
            self.namespaces[name].route.send([(NEW_LINK, CREATE | EXCLUSIVE, body, f"the cable {near} - {far}")])

    def prepare(self, name, namespace):
        with namespace:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                for device in namespace.devices:
                    switch_off_offloads(control, device)
            for key, value in self.specs[name].get("sysctls", {}).items():
                write_sysctl(key, value)

    def raising(self, name, namespace):
        requests = []
        for device, spec in namespace.devices.items():
            up = 0 if spec.get("up") is False else UP
            body = link_header(spec["index"], up, UP)
            if "master" in spec:
                body += attribute(10, namespace.index(spec["master"]))
            requests.append((NEW_LINK, 0, body, f"{name}/{device} up"))
            port = [attribute(BRIDGE_PORT[key], bytes([spec[key]])) for key in BRIDGE_PORT if key in spec]
            if port:
                body = link_header(spec["index"]) + nested(18, attribute(4, "bridge"), nested(5, *port))
                requests.append((NEW_LINK, 0, body, f"the port {name}/{device}"))
        return requests

    def settle(self):
        """
        A device's carrier changes at once, and what follows from that a moment later: its neighbours, its bridge's carrier
        (linkwatch_event()). Asking for one device brings that forward since Linux 6.8; bridges follow their ports.
        """
        end = time.monotonic() + 5
        for namespace in self.namespaces.values():
            for device, spec in reversed(namespace.devices.items()):
                while not settled(namespace, spec):
                    if time.monotonic() > end:
                        raise RuntimeError(f"{namespace.name}/{device}: its state does not follow its carrier")
                    time.sleep(0.001)

    # Addresses and routes.

    def layer3(self, name, namespace):
        spec = self.specs[name]
        requests = [self.address_request(name, namespace, each) for each in spec.get("addrs", [])]
        requests += [self.route_request(name, namespace, each) for each in spec.get("routes", [])]
        requests += [policy_request(name, each) for each in spec.get("policy", [])]
        for device, ip, link in spec.get("neigh", []):
            body = struct.pack("=BBHiHBB", 2, 0, 0, namespace.index(device), 0x80, 0, 0)
            body += attribute(1, address(ip)) + attribute(2, mac(link))
            requests.append((NEW_NEIGHBOUR, CREATE | REPLACE, body, f"the neighbour {ip} of {name}"))
        for device, link in spec.get("fdb", []):
            body = struct.pack("=BBHiHBB", 7, 0, 0, namespace.index(device), 0x40, 4, 0) + attribute(2, mac(link))
            requests.append((NEW_NEIGHBOUR, CREATE | REPLACE, body, f"the bridge entry {link} of {name}"))
        return requests

    def address_request(self, name, namespace, spec):
        device, written = spec
        interface = ipaddress.IPv4Interface(written)
        length = interface.network.prefixlen
        scope = HOST if interface.ip.is_loopback else UNIVERSE
        body = struct.pack("=BBBBI", 2, length, 0, scope, namespace.index(device))
        body += attribute(1, interface.ip.packed) + attribute(2, interface.ip.packed)
        if length < 31:
            body += attribute(4, interface.network.broadcast_address.packed)
        return NEW_ADDRESS, CREATE | EXCLUSIVE, body, f"the address {written} of {name}/{device}"

    def route_request(self, name, namespace, written):
        route = parse_route(written) if isinstance(written, str) else written
        prefix = ipaddress.IPv4Network(route.get("dst", "default").replace("default", "0.0.0.0/0"), strict=False)
        kind = ROUTE_TYPES[route.get("type", "unicast")]
        scope = HOST if kind == 2 else UNIVERSE if "via" in route or kind >= 6 else LINK
        table = route.get("table", 255 if kind == 2 else 254)
        body = struct.pack("=BBBBBBBBI", 2, prefix.prefixlen, 0, route.get("tos", 0), table & 255, STATIC, scope, kind, 0)
        body += attribute(1, prefix.network_address.packed) + attribute(15, table)
        if "via" in route:
            body += attribute(5, address(route["via"]))
        if "dev" in route:
            body += attribute(4, namespace.index(route["dev"]))
        if "src" in route:
            body += attribute(7, address(route["src"]))
        if "metric" in route:
            body += attribute(6, route["metric"])
        if "mtu" in route:
            body += nested(8, attribute(2, route["mtu"]))
        return NEW_ROUTE, CREATE | EXCLUSIVE, body, f"the route {written} of {name}"

    def close(self):
        self.reserve.give_back(self.namespaces.values())


def settled(namespace, spec):
    payload = namespace.route.ask(GET_LINK, link_header(spec["index"]), "a device's state")
    flags, fields = struct.unpack_from("=8xI", payload)[0], attributes(payload, 16)
    if spec.get("type") == "dummy" or not flags & UP:
        return True
    return (fields[OPERATIONAL_STATE][0] == OPERATIONAL) == bool(fields[CARRIER][0])


def describe(device, spec):
    named = link_header(spec["index"]) + attribute(3, device)
    return named + attribute(1, mac(spec["mac"])) + attribute(4, spec.get("mtu", 1500))


def bridge_options(spec):
    """STP off, no multicast snooping, no forward delay, so that a bridge forwards at once."""
    if spec["type"] != "bridge":
        return b""
    ageing = attribute(AGEING, spec["ageing"]) if "ageing" in spec else b""
    return nested(2, attribute(FORWARD_DELAY, 0), attribute(STP, 0), attribute(MULTICAST_SNOOPING, b"\0"), ageing)


def switch_off_offloads(control, device):
    for command in OFFLOADS:
        value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
        request = struct.pack("16sP16x", device.encode(), ctypes.addressof(value))
        try:
            fcntl.ioctl(control, SIOCETHTOOL, request)
        except OSError:
            pass  # a device without this offload


def parse_route(written):
    words = written.split()
    route = {"type": words.pop(0)} if words[0] in ROUTE_TYPES else {}
    route["dst"] = words.pop(0)
    for key, value in zip(words[::2], words[1::2]):
        if key == "table":
            value = TABLES.get(value, value)
        route[key] = int(value, 0) if key in ("table", "metric", "mtu", "tos") and isinstance(value, str) else value
    return route


def policy_request(name, rule):
    source, destination = (ipaddress.IPv4Network(rule.get(key, "0.0.0.0/0"), strict=False) for key in ("from", "to"))
    action = ACTIONS[rule.get("action", "lookup")]
    table = rule.get("table", 254 if action == ACTIONS["lookup"] else 0)
    lengths = destination.prefixlen, source.prefixlen
    body = struct.pack("=BBBBBBBBI", 2, *lengths, 0, table & 255, 0, 0, action, 0) + attribute(15, table)
    if "to" in rule:
        body += attribute(1, destination.network_address.packed)
    if "from" in rule:
        body += attribute(2, source.network_address.packed)
    for key, kind in (("iif", 3), ("oif", 17)):
        if key in rule:
            body += attribute(kind, rule[key])
    if "prio" in rule:
        body += attribute(6, rule["prio"])
    if "fwmark" in rule:
        mask = rule.get("fwmask", -1) & 0xFFFFFFFF
        body += attribute(10, rule["fwmark"] & 0xFFFFFFFF) + attribute(16, mask)
    return NEW_RULE, CREATE | EXCLUSIVE, body, f"the policy rule {rule} of {name}"
