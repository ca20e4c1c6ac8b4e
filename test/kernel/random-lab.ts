import fc from "fast-check";
import type { LabCase, LabNamespace, LabStep } from "../../src/scenario/lab-case.ts";
import { ruleFile, SETS } from "./random-rules.ts";
import { CONTAINERS, pause, SOCKET, type Stimulus, stimulus } from "./random-stimuli.ts";

/** Small Docker-shaped networks with rules and traffic of every kind that hopscope sends. */

interface Shape {
  /** Containers on each bridge. */
  readonly bridges: readonly number[];
  readonly rules: string;
  /** Of the machine outside, so that two namespaces track. */
  readonly outside: string;
  readonly sysctls: Readonly<Record<string, number>>;
  readonly mtu: number;
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly second: boolean;
  /** What is marked with 1 goes by a table of its own, with this route. */
  readonly marked: string;
  readonly families: readonly string[];
}

const shape: fc.Arbitrary<Shape> = fc.record({
  bridges: fc.constantFrom([1], [2], [2], [1, 1], [2, 1]),
  rules: ruleFile,
  outside: fc.option(
    fc.constantFrom(
      "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n",
    ),
    { freq: 1, nil: "" },
  ),
  sysctls: fc.record({
    "net.ipv4.ip_forward": fc.constantFrom(1, 1, 1, 1, 0),
    "net.bridge.bridge-nf-call-iptables": fc.constantFrom(1, 1, 0),
    "net.ipv4.conf.all.rp_filter": fc.constantFrom(0, 0, 1, 2),
    "net.ipv4.conf.all.route_localnet": fc.constantFrom(0, 0, 1),
    "net.ipv4.conf.all.send_redirects": fc.constantFrom(1, 0),
    "net.ipv4.conf.all.arp_ignore": fc.constantFrom(0, 0, 1, 2),
    "net.ipv4.icmp_errors_use_inbound_ifaddr": fc.constantFrom(0, 0, 1),
    "net.ipv4.icmp_echo_ignore_all": fc.constantFrom(0, 0, 0, 1),
    "net.ipv4.icmp_echo_ignore_broadcasts": fc.constantFrom(1, 1, 0),
    "net.ipv4.conf.all.accept_local": fc.constantFrom(0, 0, 0, 1),
    "net.ipv4.conf.all.proxy_arp": fc.constantFrom(0, 0, 0, 1),
    "net.ipv4.conf.all.arp_announce": fc.constantFrom(0, 0, 1, 2),
    "net.ipv4.conf.all.arp_filter": fc.constantFrom(0, 0, 0, 1),
    "net.ipv4.conf.all.bc_forwarding": fc.constantFrom(0, 0, 0, 1),
    "net.ipv4.conf.all.src_valid_mark": fc.constantFrom(0, 0, 1),
    "net.ipv4.conf.eth0.forwarding": fc.constantFrom(1, 1, 1, 1, 0),
    "net.ipv4.ip_default_ttl": fc.constantFrom(64, 64, 2),
    "net.netfilter.nf_conntrack_tcp_loose": fc.constantFrom(1, 1, 0),
    "net.netfilter.nf_conntrack_tcp_be_liberal": fc.constantFrom(0, 0, 1),
  }),
  mtu: fc.constantFrom(1500, 1500, 1280),
  hairpin: fc.constantFrom(false, false, true),
  isolated: fc.constantFrom(false, false, false, true),
  second: fc.boolean(),
  marked: fc.constantFrom(
    "",
    "",
    "unreachable 198.51.100.0/24",
    "local 0.0.0.0/0 dev lo",
    "default via 172.17.0.2 dev br0",
    "throw 198.51.100.0/24",
  ),
  families: fc.constantFrom(["ip"], ["ip"], ["ip", "bridge"]),
});

/** Each exchange has sockets of its own: `socket` alone, or those of a connection, which begins with its listener. */
function numberSockets(steps: readonly LabStep[]): LabStep[] {
  let count = 0;
  const rename = (id: string) => (id.startsWith(SOCKET) ? id.replace(SOCKET, `${SOCKET}-${count}`) : id);
  return steps.map((step) => {
    if (step.id === undefined || !step.id.startsWith(SOCKET)) return step;
    if (step.op === "udp" || step.op === "listen") count++;
    return { ...step, id: rename(step.id), ...(step.as === undefined ? {} : { as: rename(step.as) }) };
  });
}

function build(shape: Shape, listeners: readonly string[], steps: readonly LabStep[]): LabCase {
  const namespaces: Record<string, LabNamespace> = {};
  const devs: NonNullable<LabNamespace["devs"]> = {};
  const veths: [string, string][] = [];
  const addrs: [string, string][] = [["eth0", "192.168.1.10/24"]];
  if (shape.second) addrs.push(["eth0", "192.168.1.11/24"]);
  let count = 0;
  shape.bridges.forEach((containers, bridge) => {
    devs[`br${bridge}`] = { type: "bridge" };
    addrs.push([`br${bridge}`, `172.${17 + bridge}.0.1/16`]);
    // The first container of the second bridge is c3, whatever the first has.
    if (bridge === 1) count = 2;
    for (let i = 0; i < containers; i++) {
      const name = CONTAINERS[count++]!;
      devs[`v${count}`] = { master: `br${bridge}`, hairpin: shape.hairpin, isolated: shape.isolated };
      namespaces[name] = {
        addrs: [["eth0", `172.${17 + bridge}.0.${i + 2}/16`]],
        routes: [`default via 172.${17 + bridge}.0.1 dev eth0`],
      };
      veths.push([`host/v${count}`, `${name}/eth0`]);
    }
  });
  devs["eth0"] = { mtu: shape.mtu };
  veths.push(["host/eth0", "out/eth0"]);
  namespaces["out"] = {
    sysctls: { "net.ipv4.ip_forward": 1 },
    devs: { eth0: { mtu: shape.mtu } },
    addrs: [
      ["eth0", "192.168.1.1/24"],
      ["lo", "198.51.100.7/32"],
    ],
    ...(shape.outside === "" ? {} : { rules: shape.outside }),
  };
  const rules = [shape.rules, ...steps.map(({ text }) => text ?? "")].join("");
  namespaces["host"] = {
    sysctls: shape.sysctls,
    devs,
    addrs,
    routes: ["default via 192.168.1.1 dev eth0", "blackhole 203.0.113.0/24"],
    ...(shape.marked !== "" ? { policy: [{ fwmark: 1, fwmask: 1, table: 100, prio: 50 }] } : {}),
    ...(rules.includes("-set ") ? { ipsets: SETS } : {}),
    ...(shape.rules === "" ? {} : { rules: shape.rules }),
  };
  if (shape.marked !== "") namespaces["host"].routes!.push(`${shape.marked} table 100`);
  const there = (step: LabStep) =>
    [step.ns, (step.at ?? step.dev)?.split("/")[0]].every((name) => !name || name in namespaces);
  const opened = new Set(listeners.filter((name) => name in namespaces).map((name) => `listener-${name}`));
  for (const step of steps) {
    if (["udp", "tcp", "listen"].includes(step.op) && there(step)) opened.add(step.id!);
    if (step.op === "accept" && opened.has(step.id!)) opened.add(step.as!);
  }
  const known = (step: LabStep) => there(step) && (step.id === undefined || opened.has(step.id));
  const plugged = (step: LabStep) => step.op !== "link" || step.dev!.split("/")[1]! in { ...devs, eth0: {} };
  return {
    namespaces,
    veths,
    ...(shape.families.length > 1 ? { trace: [...shape.families] } : {}),
    steps: [
      ...[...opened]
        .filter((id) => id.startsWith("listener-"))
        .map((id): LabStep => ({ op: "udp", ns: id.slice(9), id, bind: ["0.0.0.0", 53] })),
      ...steps.filter((step) => known(step) && plugged(step)),
    ],
  };
}

const labOf = (step: Stimulus): fc.Arbitrary<LabCase> =>
  fc
    .record({
      shape,
      steps: fc.array(step, { minLength: 1, maxLength: 10 }),
      listeners: fc.subarray(["c1", "c2", "out", "host"]),
    })
    .map(({ shape, steps, listeners }) => build(shape, listeners, numberSockets(steps.flat())));

/** With everything that may happen, also what takes seconds. */
export const randomLab: fc.Arbitrary<LabCase> = labOf(
  fc.oneof({ weight: 10, arbitrary: stimulus }, { weight: 1, arbitrary: pause }),
);

/** With what a real kernel does at once. */
export const quickLab: fc.Arbitrary<LabCase> = labOf(stimulus);
