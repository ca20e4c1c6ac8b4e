"""The rules of one namespace: iptables-restore, the chains that make the kernel tell each hook, numbers and counters."""
import functools
import shutil
import struct
import subprocess

import netlink
from netlink import CREATE, APPEND, attribute, attribute_list, attributes, long, nested, netfilter_header, text, word

NF_TABLES = 10
NEW_TABLE, NEW_CHAIN, GET_CHAIN, NEW_RULE, GET_RULE = 0, 3, 4, 6, 7
TRACE = NF_TABLES << 8 | 17
FAMILIES = {"ip": 2, "bridge": 7}
FAMILY_NAMES = {number: name for name, number in FAMILIES.items()}
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
# Where a packet's way through a namespace begins: there it is marked for tracing.
STARTS = ("prerouting", "output")
# Before and after every chain that iptables or the kernel itself has in that family.
EDGES = {"ip": 500, "bridge": 2000}
TABLE = "hopscope"
META_NFTRACE = 12
REGISTER = 8


class RulesRefused(Exception):
    """iptables-restore or ipset refused the text of the case."""


@functools.lru_cache(maxsize=None)
def restore_command():
    """The iptables-restore that speaks nf_tables, for only its rules can be traced; None where there is none."""
    if shutil.which("iptables-nft-restore"):
        return "iptables-nft-restore"
    if not shutil.which("iptables-restore"):
        return None
    version = subprocess.run(["iptables-restore", "--version"], capture_output=True, text=True).stdout
    return "iptables-restore" if "nf_tables" in version else None


def big(value):
    return struct.pack("!i", value)


def tracing_requests(family):
    """A chain at both ends of every hook, with one rule that does nothing: the trace of it tells what came by."""
    number = FAMILIES[family]
    header = netfilter_header(number)
    requests = [(NEW_TABLE, CREATE, header + attribute(1, TABLE), "the tracing table")]
    for hook_number, hook in enumerate(HOOKS):
        for edge, priority in (("enter", -EDGES[family]), ("leave", EDGES[family])):
            name = f"{hook} {edge}"
            place = nested(4, attribute(1, big(hook_number)), attribute(2, big(priority)))
            body = attribute(1, TABLE) + attribute(3, name) + place + attribute(5, big(1)) + attribute(7, "filter")
            requests.append((NEW_CHAIN, CREATE, header + body, name))
            body = attribute(1, TABLE) + attribute(2, name)
            if edge == "enter" and hook in STARTS:
                body += nested(4, *set_nftrace())
            requests.append((NEW_RULE, CREATE | APPEND, header + body, f"the rule of {name}"))
    return requests


def set_nftrace():
    one = nested(2, attribute(1, big(REGISTER)), nested(2, attribute(1, b"\x01")))
    trace = nested(2, attribute(2, big(META_NFTRACE)), attribute(3, big(REGISTER)))
    return nested(1, attribute(1, "immediate"), one), nested(1, attribute(1, "meta"), trace)


class Firewall:
    def __init__(self, namespace):
        self.namespace = namespace
        self.loading = None
        self.numbers = None

    def trace(self, families):
        for family in families:
            self.namespace.netfilter.transaction(NF_TABLES, tracing_requests(family))

    def load_sets(self, words):
        with self.namespace:
            done = subprocess.run(["ipset", "restore"], input=words, capture_output=True, text=True)
        if done.returncode:
            raise RulesRefused(f"{self.namespace.name}: ipset: {done.stderr.strip()}")

    def start(self, words):
        """Begins to load rules; `finish` waits for the end of it."""
        self.numbers = None
        with self.namespace:
            self.loading = subprocess.Popen(
                [restore_command(), "-w"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        self.words = words.encode() + b"\n"

    def finish(self):
        if self.loading is None:
            return
        _, complaint = self.loading.communicate(self.words)
        status, self.loading = self.loading.returncode, None
        if status:
            lines = [line for line in complaint.decode(errors="replace").splitlines() if line.strip()]
            raise RulesRefused(f"{self.namespace.name}: {' '.join(lines[:1])}")

    def load(self, words):
        self.start(words)
        self.finish()

    def rules(self):
        """(table, chain) -> [(handle, packets and bytes)] of all iptables rules."""
        found = {}
        for payload in self.namespace.netfilter.dump(NF_TABLES << 8 | GET_RULE, netfilter_header(FAMILIES["ip"])):
            fields = attributes(payload, 4)
            if text(fields[1]) != TABLE:
                counted = next((c for c in map(counter, attribute_list(fields[4])) if c is not None), None)
                found.setdefault((text(fields[1]), text(fields[2])), []).append((long(fields[3]), counted))
        return found

    def number(self, table, chain, handle):
        """The place of a rule in its chain, from 1."""
        if self.numbers is None:
            self.numbers = {
                (*where, rule): place for where, rules in self.rules().items() for place, (rule, _) in enumerate(rules, 1)
            }
        return self.numbers.get((table, chain, handle), -1)

    def counters(self):
        found = {}
        for payload in self.namespace.netfilter.dump(NF_TABLES << 8 | GET_CHAIN, netfilter_header(FAMILIES["ip"])):
            fields = attributes(payload, 4)
            if text(fields[1]) == TABLE:
                continue
            chain = {"rules": []}
            if 5 in fields:
                chain["policy"] = ("DROP", "ACCEPT")[word(fields[5])]
            if 8 in fields:
                chain["packets"], chain["bytes"] = packets_and_bytes(fields[8])
            found.setdefault(text(fields[1]), {})[text(fields[3])] = chain
        if found:
            for (table, chain), rules in self.rules().items():
                found[table][chain]["rules"] = [counted for _, counted in rules]
        return found

    def close(self):
        if self.loading is not None:
            self.loading.kill()
            self.loading.communicate()


def counter(expression):
    fields = attributes(expression[1])
    return packets_and_bytes(fields[2]) if text(fields[1]) == "counter" else None


def packets_and_bytes(data):
    fields = attributes(data)
    return [long(fields[2]), long(fields[1])]
