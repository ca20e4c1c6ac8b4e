import fc from "fast-check";
import type { LabCase, LabNamespace, LabStep } from "../../src/scenario/lab-case.ts";

/** Small Docker-shaped networks with rules and traffic of every kind that hopscope sends, for properties. */

interface Shape {
  readonly bridges: readonly number[];
  readonly rules: readonly string[];
  readonly nat: readonly string[];
  readonly policy: "ACCEPT" | "DROP";
  readonly call: number;
  readonly mtu: number;
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly forward: number;
  readonly rpFilter: number;
}

const address = fc.constantFrom(
  "172.17.0.1",
  "172.17.0.2",
  "172.17.0.3",
  "172.18.0.2",
  "172.18.0.1",
  "192.168.1.10",
  "192.168.1.1",
  "198.51.100.7",
  "172.17.0.99",
  "255.255.255.255",
  "172.17.255.255",
  "10.9.9.9",
);
const container = fc.constantFrom("c1", "c2", "c3", "out", "host");
const port = fc.constantFrom(53, 80, 300, 700, 8080, 40_000);

const filterRule = fc
  .record({
    chain: fc.constantFrom("INPUT", "FORWARD", "OUTPUT"),
    match: fc.constantFrom(
      "",
      "-p udp",
      "-p icmp",
      "-p tcp -m tcp --dport 80",
      "-m conntrack --ctstate RELATED,ESTABLISHED",
      "-m conntrack --ctstate INVALID",
      "-s 172.17.0.0/16",
      "-p udp -m multiport --dports 53,80",
      "-m addrtype --dst-type LOCAL",
      "-m mark --mark 0x1/0x1",
    ),
    target: fc.constantFrom(
      "ACCEPT",
      "DROP",
      "RETURN",
      "REJECT --reject-with icmp-port-unreachable",
      "REJECT --reject-with icmp-admin-prohibited",
      "LOG",
    ),
  })
  .map(({ chain, match, target }) => `-A ${chain} ${match} -j ${target}`);

const natRule = fc.constantFrom(
  "-A POSTROUTING -s 172.17.0.0/16 ! -o br0 -j MASQUERADE",
  "-A POSTROUTING -j MASQUERADE",
  "-A POSTROUTING -s 172.17.0.0/16 -p udp -j SNAT --to-source 192.168.1.10:1024-1030",
  "-A PREROUTING -p udp -m udp --dport 8080 -j DNAT --to-destination 172.17.0.2:53",
  "-A PREROUTING -d 192.168.1.10/32 -j DNAT --to-destination 172.17.0.3",
  "-A OUTPUT -p udp -m udp --dport 80 -j DNAT --to-destination 172.17.0.2",
  "-A PREROUTING -p udp -m udp --dport 80 -j REDIRECT --to-ports 53",
);

const shape: fc.Arbitrary<Shape> = fc.record({
  bridges: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 2 }),
  rules: fc.array(filterRule, { maxLength: 6 }),
  nat: fc.array(natRule, { maxLength: 4 }),
  policy: fc.constantFrom("ACCEPT" as const, "ACCEPT" as const, "DROP" as const),
  call: fc.constantFrom(0, 1),
  mtu: fc.constantFrom(1500, 1500, 1280),
  hairpin: fc.boolean(),
  isolated: fc.boolean(),
  forward: fc.constantFrom(1, 1, 1, 0),
  rpFilter: fc.constantFrom(0, 1, 2),
});

function build(shape: Shape, steps: LabStep[]): LabCase {
  const namespaces: Record<string, LabNamespace> = {};
  const devs: NonNullable<LabNamespace["devs"]> = {};
  const veths: [string, string][] = [];
  const addrs: [string, string][] = [["eth0", "192.168.1.10/24"]];
  let count = 0;
  shape.bridges.forEach((containers, bridge) => {
    devs[`br${bridge}`] = { type: "bridge" };
    addrs.push([`br${bridge}`, `172.${17 + bridge}.0.1/16`]);
    for (let i = 0; i < containers; i++) {
      const name = `c${++count}`;
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
  };
  const base = (names: string) => names.split(" ").map((name) => `:${name} ACCEPT [0:0]`);
  namespaces["host"] = {
    sysctls: {
      "net.ipv4.ip_forward": shape.forward,
      "net.bridge.bridge-nf-call-iptables": shape.call,
      "net.ipv4.conf.all.rp_filter": shape.rpFilter,
    },
    devs,
    addrs,
    routes: ["default via 192.168.1.1 dev eth0"],
    rules: [
      "*filter",
      ...base("INPUT OUTPUT"),
      `:FORWARD ${shape.policy} [0:0]`,
      ...shape.rules,
      "COMMIT",
      "*nat",
      ...base("PREROUTING INPUT OUTPUT POSTROUTING"),
      ...shape.nat,
      "COMMIT",
      "",
    ].join("\n"),
  };
  const known = (step: LabStep) => step.ns === undefined || step.ns in namespaces;
  return { namespaces, veths, steps: steps.filter(known) };
}

const size = fc.constantFrom(0, 8, 32, 1430, 2000, 4000);

const step: fc.Arbitrary<LabStep[]> = fc.oneof(
  fc.record({ ns: container, to: address, port, size, id: fc.nat(10_000) }).map(({ ns, to, port, size, id }) => [
    { op: "udp", ns, id: `u${id}`, opts: { broadcast: true } },
    { op: "send", ns, id: `u${id}`, to: [to, port] as [string, number], size },
    { op: "recv", ns, id: `u${id}` },
    { op: "close", ns, id: `u${id}` },
  ]),
  fc
    .record({
      ns: container,
      src: address,
      dst: address,
      ttl: fc.constantFrom(1, 2, 64),
      id: fc.nat(100),
      size: fc.constantFrom(8, 1000),
    })
    .map(({ ns, src, dst, ttl, id, size }) => [
      { op: "raw", ns, pkt: { ip: { src, dst, ttl, id: 500 + id }, icmp: { type: 8, id, seq: 1, size } } },
    ]),
  fc
    .record({
      ns: container,
      src: address,
      dst: address,
      sport: port,
      dport: port,
      flags: fc.constantFrom("S", "SA", "A", "FA", "R", "PA"),
    })
    .map(({ ns, src, dst, sport, dport, flags }) => [
      { op: "raw", ns, pkt: { ip: { src, dst }, tcp: { sport, dport, flags, seq: 1000, ack: 77 } } },
    ]),
  fc
    .record({
      ns: container,
      src: address,
      dst: address,
      off: fc.constantFrom(0, 0, 40, 48),
      mf: fc.boolean(),
      id: fc.nat(2),
    })
    .map(({ ns, src, dst, off, mf, id }) => [
      { op: "raw", ns, pkt: { ip: { src, dst, off, mf, id: 900 + id }, raw: "0f".repeat(48), proto: 17 } },
    ]),
  fc.record({ ns: container, up: fc.boolean() }).map(({ ns, up }) => [{ op: "link", ns, dev: `${ns}/eth0`, up }]),
  fc.constantFrom(10, 1100, 6000).map((ms) => [{ op: "sleep", ms }]),
);

export const randomLab: fc.Arbitrary<LabCase> = fc
  .record({
    shape,
    steps: fc.array(step, { minLength: 1, maxLength: 14 }),
    listeners: fc.subarray(["c1", "c2", "out", "host"]),
  })
  .map(({ shape, steps, listeners }) =>
    build(shape, [
      ...listeners.map((ns) => ({ op: "udp", ns, id: `listen-${ns}`, bind: ["0.0.0.0", 53] as [string, number] })),
      ...steps.flat(),
    ]),
  );
