#!/usr/bin/env python3
"""
Runs lab cases on this machine's kernel.

  harness.py probe          says what is missing here, one JSON object; exit status 0 when nothing is
  harness.py run CASE...    one JSON result a line
  harness.py serve          one case a line in, one result a line out

Needs root (or `unshare -Urn`), iptables with nf_tables, and Python's standard library.
"""
import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import firewall  # noqa: E402
from namespace import Reserve  # noqa: E402
from network import Network  # noqa: E402
from stimulus import Stimuli, bridge_entries, neighbours  # noqa: E402

AHEAD = 10
MANY = 200


class Run:
    """One case, from its network to its result."""

    def __init__(self, case, reserve):
        self.case = case
        self.network = Network(case, reserve)
        self.frames, self.trace, self.events = [], [], []

    def watch(self):
        """Takes up what happened so far."""
        for namespace in self.network.namespaces.values():
            self.frames += namespace.frames.collect()
            self.trace += namespace.trace.collect()
            self.events += namespace.connections.collect()

    def watch_until_quiet(self):
        """Long work is handed to a kernel thread, which may still be at it."""
        seen = len(self.frames)
        self.watch()
        while len(self.frames) - seen > MANY:
            seen = len(self.frames)
            time.sleep(0.002)
            self.watch()

    def told(self):
        self.watch_until_quiet()
        self.frames.sort(key=lambda stamped: stamped[0])
        told = {"frames": [frame for _, frame in self.frames], "trace": self.trace, "ct_events": self.events}
        self.frames, self.trace, self.events = [], [], []
        return told

    def result(self):
        self.told()
        stimuli = Stimuli(self.network, self.watch)
        steps, times = [], []
        try:
            for step in self.case.get("steps", []):
                times.append(time.monotonic() * 1000)
                answer = stimuli.perform(step)
                wait = step.get("wait_ms") or self.case.get("settle_ms") or 0
                if wait:
                    time.sleep(wait / 1000)
                steps.append({"step": step, **({"result": answer} if answer else {}), **self.told()})
            final = {"conntrack": {}, "counters": {}, "neigh": {}, "fdb": {}}
            for name, namespace in self.network.namespaces.items():
                final["conntrack"][name] = namespace.connections.table()
                final["counters"][name] = namespace.rules.counters()
                final["neigh"][name] = neighbours(namespace)
                final["fdb"][name] = bridge_entries(namespace)
            return {"name": self.case.get("name"), "kernel": os.uname().release, "times": [at - times[0] for at in times], "steps": steps, "final": final}
        finally:
            stimuli.close()

    def close(self):
        self.network.close()


def run(case, reserve):
    running = Run(case, reserve)
    try:
        return running.result()
    finally:
        running.close()


def answer(words, reserve):
    try:
        told = run(json.loads(words), reserve)
    except Exception as problem:
        told = {"error": f"{type(problem).__name__}: {problem}"}
    print(json.dumps(told, separators=(",", ":")), flush=True)


def missing():
    """What this machine lacks, or None."""
    if sys.platform != "linux":
        return "the kernel is not Linux"
    if not shutil.which("iptables-restore"):
        return "iptables-restore is not installed"
    if firewall.restore_command() is None:
        return "iptables is built for ip_tables; its rules can only be traced with nf_tables"
    try:
        reserve = Reserve()
        case = {"namespaces": {"a": {"devs": {"br0": {"type": "bridge"}}, "rules": "*filter\n-A INPUT -j DROP\nCOMMIT\n"}, "b": {}}}
        run({**case, "veths": [["a/eth0", "b/eth0"]]}, reserve)
    except PermissionError:
        return "no right to make network namespaces (be root, or try unshare -Urn)"
    except Exception as problem:
        return str(problem)
    if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
        return "the module br_netfilter is not loaded (modprobe br_netfilter)"
    return None


def pin():
    """One processor for all of it: what a packet causes then happens before the call that sent it returns."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[int(os.environ.get("HOPSCOPE_WORKER", os.getpid())) % len(allowed)]})


def main(arguments):
    command, files = (arguments + [""])[0], arguments[1:]
    if command == "probe":
        lack = missing()
        print(json.dumps({"missing": lack, "kernel": os.uname().release}), flush=True)
        return 0 if lack is None else 1
    if command not in ("run", "serve"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    pin()
    reserve = Reserve(AHEAD if command == "serve" else 0)
    if command == "serve":
        for line in sys.stdin:
            if line.strip():
                answer(line, reserve)
    for file in files if command == "run" else []:
        with open(file) as source:
            answer(source.read(), reserve)
    return 0


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    # The namespaces end with the process; there is nothing to wait for.
    os._exit(status)
