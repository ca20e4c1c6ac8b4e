"""Frames from their description in a case: fields by name, the rest filled in, and every field may be given wrong."""
import ipaddress
import struct

FLAGS = "FSRPAUEC"


def address(text):
    return ipaddress.IPv4Address(text).packed


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def format_mac(data):
    return ":".join(f"{byte:02x}" for byte in data)


def internet_sum(data):
    """The checksum of RFC 1071."""
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def transport_sum(source, destination, protocol, segment):
    return internet_sum(source + destination + struct.pack("!HH", protocol, len(segment)) + segment)


def payload(spec):
    if "hex" in spec:
        return bytes.fromhex(spec["hex"])
    if "data" in spec:
        return spec["data"].encode()
    return bytes(65 + i % 26 for i in range(spec.get("size", 0)))


def padded(text):
    options = bytes.fromhex(text)
    return options + bytes(-len(options) & 3)


def with_sum(data, at, value):
    return data[:at] + struct.pack("!H", value) + data[at + 2 :]


def udp(spec, source, destination):
    data = payload(spec)
    length = spec.get("len", 8 + len(data))
    whole = struct.pack("!HHHH", spec.get("sport", 0), spec.get("dport", 0), length, 0) + data
    return with_sum(whole, 6, spec.get("csum", transport_sum(source, destination, 17, whole) or 0xFFFF))


def tcp(spec, source, destination):
    options = padded(spec.get("opts", ""))
    flags = sum(1 << FLAGS.index(letter) for letter in spec.get("flags", "S"))
    whole = struct.pack(
        "!HHIIBBHHH",
        spec.get("sport", 0),
        spec.get("dport", 0),
        spec.get("seq", 0),
        spec.get("ack", 0),
        5 + len(options) // 4 << 4,
        flags,
        spec.get("win", 65535),
        0,
        0,
    )
    whole += options + payload(spec)
    return with_sum(whole, 16, spec.get("csum", transport_sum(source, destination, 6, whole)))


def icmp(spec):
    kind = spec["type"]
    if "inner" in spec:
        data = packet(spec["inner"])[: spec.get("quote", 1 << 16)]
        rest = bytes(4)
        if kind == 3:
            rest = struct.pack("!HH", 0, spec.get("mtu", 0))
        elif kind == 5:
            rest = address(spec["gw"])
    else:
        data = payload(spec)
        rest = struct.pack("!HH", spec.get("id", 0), spec.get("seq", 0))
    whole = struct.pack("!BBH", kind, spec.get("code", 0), 0) + rest + data
    return with_sum(whole, 2, spec.get("csum", internet_sum(whole)))


def transport(spec, source, destination):
    if "udp" in spec:
        return 17, udp(spec["udp"], source, destination)
    if "tcp" in spec:
        return 6, tcp(spec["tcp"], source, destination)
    if "icmp" in spec:
        return 1, icmp(spec["icmp"])
    return spec.get("proto", 253), bytes.fromhex(spec.get("raw", ""))


def packet(spec):
    ip = spec["ip"]
    source, destination = address(ip["src"]), address(ip["dst"])
    protocol, body = transport(spec, source, destination)
    if "slice" in ip:
        first, last = ip["slice"]
        body = body[first:last]
    options = padded(ip.get("opts", ""))
    fragment = ip.get("off", 0) // 8 | bool(ip.get("mf")) << 13 | bool(ip.get("df")) << 14
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        ip.get("tos", 0),
        ip.get("len", 20 + len(options) + len(body)),
        ip.get("id", 1),
        fragment,
        ip.get("ttl", 64),
        ip.get("proto", protocol),
        0,
        source,
        destination,
    )
    header += options
    return with_sum(header, 10, ip.get("csum", internet_sum(header))) + body


def arp(spec, sender):
    operation = {"request": 1, "reply": 2}[spec.get("op", "request")]
    return struct.pack(
        "!HHBBH6s4s6s4s",
        1,
        0x800,
        6,
        4,
        operation,
        mac(spec.get("sha", sender)),
        address(spec["spa"]),
        mac(spec.get("tha", "00:00:00:00:00:00")),
        address(spec["tpa"]),
    )


def frame(spec):
    if isinstance(spec, str):
        return bytes.fromhex(spec)
    ethernet = spec["eth"]
    addresses = mac(ethernet["dst"]) + mac(ethernet["src"])
    if "arp" in spec:
        return addresses + b"\x08\x06" + arp(spec["arp"], ethernet["src"])
    if "ip" in spec:
        return addresses + b"\x08\x00" + packet(spec)
    return addresses + struct.pack("!H", ethernet.get("type", 0x88B5)) + payload(spec)


def completed(data):
    """A frame of this machine's own whose transport checksum the device was to fill in."""
    if data[12:14] != b"\x08\x00":
        return data
    start = 14 + (data[14] & 15) * 4
    end = 14 + struct.unpack("!H", data[16:18])[0]
    protocol = data[23]
    at = {6: 16, 17: 6}.get(protocol)
    if at is None or end < start + at + 2:
        return data
    segment = with_sum(data[start:end], at, 0)
    value = transport_sum(data[26:30], data[30:34], protocol, segment)
    if protocol == 17:
        value = value or 0xFFFF
    return data[:start] + with_sum(segment, at, value) + data[end:]
