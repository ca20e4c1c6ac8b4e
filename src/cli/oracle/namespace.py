"""Network namespaces without names: each lives as long as a file descriptor of this process, so nothing is left behind."""
import collections
import concurrent.futures
import ctypes
import os
import socket

import firewall
import netlink
import taps

CLONE_NEWNET = 0x40000000
HERE = "/proc/thread-self/ns/net"
libc = ctypes.CDLL(None, use_errno=True)

CONF = {
    "accept_local": 0, "accept_redirects": 1, "accept_source_route": 0, "arp_accept": 0, "arp_announce": 0,
    "arp_filter": 0, "arp_ignore": 0, "bc_forwarding": 0, "drop_gratuitous_arp": 0, "drop_unicast_in_l2_multicast": 0,
    "forwarding": 0, "log_martians": 0, "promote_secondaries": 0, "proxy_arp": 0, "route_localnet": 0, "rp_filter": 0,
    "secure_redirects": 1, "send_redirects": 1, "shared_media": 1, "src_valid_mark": 0,
}
# What every namespace starts with: the kernel's own defaults where an administrator may have changed them for the
# machine, no IPv6, and nothing that real time decides (rate limits, TCP stamps).
SETTINGS = {
    "net.ipv6.conf.all.disable_ipv6": 1,
    "net.ipv6.conf.default.disable_ipv6": 1,
    **{f"net.ipv4.conf.{which}.{key}": value for which in ("all", "default") for key, value in CONF.items()},
    "net.ipv4.conf.all.accept_redirects": 0,
    "net.ipv4.icmp_ratelimit": 0,
    "net.ipv4.icmp_ratemask": 0,
    "net.ipv4.tcp_timestamps": 0,
    "net.ipv4.tcp_sack": 0,
    "net.ipv4.tcp_ecn": 0,
    "net.ipv4.tcp_window_scaling": 0,
    "net.ipv4.tcp_no_metrics_save": 1,
    "net.netfilter.nf_conntrack_acct": 1,
}


def _check(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def enter(descriptor):
    _check(libc.setns(descriptor, CLONE_NEWNET), "setns")


def open_current():
    return os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)


def sysctl_path(key):
    return "/proc/sys/" + (key if "/" in key else key.replace(".", "/"))


def write_sysctl(key, value):
    with open(sysctl_path(key), "w") as file:
        file.write(str(value))


def read_sysctl(key):
    try:
        with open(sysctl_path(key)) as file:
            return file.read().strip()
    except OSError:
        return None


class Namespace:
    """A namespace with everything that watches it."""

    def __init__(self, reserve):
        self.name, self.home = "", reserve.home
        self.devices = {}  # name -> what the case says, with its index and MAC address
        self.names = {1: "lo"}
        self.injector = None
        _check(libc.unshare(CLONE_NEWNET), "unshare")
        try:
            self.descriptor = open_current()
            reserve.settle_settings()
            self.route = netlink.Netlink(netlink.ROUTE)
            self.netfilter = netlink.Netlink(netlink.NETFILTER, buffer=8 << 20)
            self.rules = firewall.Firewall(self)
            self.frames = taps.FrameTap(self)
            self.trace = taps.RuleTap(self)
            self.connections = taps.ConnectionTap(self)
        finally:
            enter(self.home)

    def __enter__(self):
        enter(self.descriptor)
        return self

    def __exit__(self, *_):
        enter(self.home)

    def index(self, device):
        if device == "lo":
            return 1
        if device not in self.devices:
            raise ValueError(f"no device {device} in namespace {self.name}")
        return self.devices[device]["index"]

    def set_sysctl(self, key, value):
        with self:
            write_sysctl(key, value)

    def inject(self, device, frame):
        if self.injector is None:
            with self:
                kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
                self.injector = socket.socket(socket.AF_PACKET, kind, 0)
        self.injector.sendto(frame, (device, 0))

    def close(self):
        for part in (self.rules, self.frames, self.trace, self.connections, self.netfilter, self.route, self.injector):
            if part is not None:
                part.close()
        os.close(self.descriptor)


class Reserve:
    """
    Makes namespaces ahead and takes used ones down behind, each in a thread of its own: both wait for the kernel more
    than they work.
    """

    def __init__(self, ahead=0):
        self.home = open_current()
        self.differing = None
        self.ahead = ahead
        self.threads = concurrent.futures.ThreadPoolExecutor(16)
        self.making = collections.deque()
        # The first tells what this machine's settings are.
        self.threads.submit(lambda: Namespace(self).close()).result()

    def settle_settings(self):
        if self.differing is None:
            self.differing = [key for key, value in SETTINGS.items() if read_sysctl(key) not in (None, str(value))]
        for key in self.differing:
            write_sysctl(key, SETTINGS[key])

    def take(self, names):
        while len(self.making) < len(names) + self.ahead:
            self.making.append(self.threads.submit(Namespace, self))
        found = {name: self.making.popleft().result() for name in names}
        for name, namespace in found.items():
            namespace.name = name
        return found

    def give_back(self, namespaces):
        for namespace in namespaces:
            self.threads.submit(namespace.close)
