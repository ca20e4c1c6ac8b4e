import { describe, expect, test } from "vitest";
import type { LabCase, LabNamespace, LabStep, LabStepResult } from "../../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../../src/scenario/lab-packet.ts";
import { ALL_TABLES, chainsOf, dropsOf, entries, framesOn, hits, run, table, tcp, textsOn, udp } from "./router.ts";

const A = "172.17.0.2";
const B = "172.17.0.3";
const GATEWAY = "172.17.0.1";
const BRIDGE_MAC = "02:00:00:00:aa:01";
const A_MAC = "02:00:00:00:00:01";
const B_MAC = "02:00:00:00:01:01";

interface Options {
  readonly host?: LabNamespace;
  readonly a?: LabNamespace;
  readonly hairpin?: boolean;
  readonly steps: LabStep[];
}

/** Two containers on one bridge, and a cable out of the host. */
const bridged = ({ host = {}, a = {}, hairpin = false, steps }: Options): LabCase => ({
  namespaces: {
    a: {
      addrs: [["eth0", `${A}/16`]],
      routes: [`default via ${GATEWAY} dev eth0`],
      neigh: [
        ["eth0", B, B_MAC],
        ["eth0", GATEWAY, BRIDGE_MAC],
      ],
      ...a,
    },
    b: { addrs: [["eth0", `${B}/16`]], neigh: [["eth0", A, A_MAC]] },
    host: {
      ...host,
      sysctls: { "net.ipv4.ip_forward": 1, ...host.sysctls },
      devs: { br0: { type: "bridge", mac: BRIDGE_MAC }, v1: { master: "br0", hairpin }, v2: { master: "br0" } },
      addrs: [
        ["br0", `${GATEWAY}/16`],
        ["eth0", "192.168.1.10/24"],
      ],
      neigh: host.neigh ?? [
        ["br0", A, A_MAC],
        ["br0", B, B_MAC],
        ["eth0", "192.168.1.9", "02:00:00:00:09:09"],
      ],
    },
    out: {},
  },
  veths: [
    ["host/v1", "a/eth0"],
    ["host/v2", "b/eth0"],
    ["host/eth0", "out/eth0"],
  ],
  trace: ["ip", "bridge"],
  steps,
});

const send = (pkt: PacketSpec): LabStep => ({ op: "raw", ns: "a", pkt });
const A_TO_B = udp(`${A}:5000`, `${B}:53`);

/** `BR prerouting v1`, `ip forward br0>br0`, in the order in which the hooks begin and end. */
const nesting = ({ trace }: LabStepResult, at?: string): string[] =>
  trace
    .filter(
      (record) => record.ns === "host" && record["hook"] !== undefined && (at === undefined || record["at"] === at),
    )
    .map(
      ({ family, hook, at, iif, oif }) =>
        `${family === "bridge" ? "BR" : "ip"} ${hook} ${iif ?? ""}>${oif ?? ""} ${at}`,
    );

const PUBLISH = table(
  "nat",
  `-A PREROUTING -d ${GATEWAY}/32 -p udp -m udp --dport 8080 -j DNAT --to-destination ${B}:53`,
);
const listener: LabStep = { op: "udp", ns: "b", id: "l", bind: ["0.0.0.0", 53] };
const CALL = udp(`${A}:5000`, `${GATEWAY}:8080`);

describe("3 Bridged packets with bridge-nf-call-iptables=1 (default in a new netns once br_netfilter is present)", () => {
  test("BR:prerouting(v1) ⊃ IP PREROUTING (iif=br0) → BR:forward(v1→v2) ⊃ IP FORWARD (iif=oif=br0) → BR:postrouting ⊃ IP POSTROUTING (iif none, oif=br0)", () => {
    const { steps } = run(bridged({ steps: [listener, send(A_TO_B)] }));
    expect(nesting(steps[1]!)).toEqual([
      "BR prerouting v1> enter",
      "ip prerouting br0> enter",
      "ip prerouting br0> leave",
      "BR prerouting v1> leave",
      "BR forward v1>v2 enter",
      "ip forward br0>br0 enter",
      "ip forward br0>br0 leave",
      "BR forward v1>v2 leave",
      "BR postrouting >v2 enter",
      "BR postrouting >v2 leave",
      "ip postrouting >br0 enter",
      "ip postrouting >br0 leave",
    ]);
  });

  test("physdev v1→v2", () => {
    const rules = table(
      "filter",
      "-A FORWARD -m physdev --physdev-in v1 --physdev-out v2",
      "-A FORWARD -m physdev --physdev-in v2",
    );
    const result = run(bridged({ host: { rules }, steps: [listener, send(A_TO_B)] }));
    expect([hits(result, "FORWARD", 1, "filter", "host"), hits(result, "FORWARD", 2, "filter", "host")]).toEqual([
      1, 0,
    ]);
  });

  test("raw, mangle, nat, filter, security all apply, conntrack included; TTL unchanged", () => {
    const result = run(bridged({ host: { rules: ALL_TABLES }, steps: [listener, send(A_TO_B)] }));
    expect(chainsOf(result.steps[1]!)).toEqual([
      ...["raw PREROUTING", "mangle PREROUTING", "nat PREROUTING"],
      ...["mangle FORWARD", "filter FORWARD", "security FORWARD"],
      ...["mangle POSTROUTING", "nat POSTROUTING"],
    ]);
    expect(entries(result, "host")).toHaveLength(1);
    expect(textsOn(result.steps[1]!, "b/eth0", "in")).toEqual([`udp ${A}:5000 > ${B}:53 ttl 64`]);
  });

  test("with bridge-nf-call-iptables=0 none of them applies", () => {
    const host = { rules: ALL_TABLES, sysctls: { "net.bridge.bridge-nf-call-iptables": 0 } };
    const result = run(bridged({ host, steps: [listener, send(A_TO_B)] }));
    expect(chainsOf(result.steps[1]!)).toEqual([]);
    expect(entries(result, "host")).toEqual([]);
    expect(textsOn(result.steps[1]!, "b/eth0", "in")).toHaveLength(1);
  });

  test("A packet for the host itself goes through PREROUTING once, inside the bridge; the later IP PREROUTING is skipped", () => {
    const { steps } = run(bridged({ steps: [send(udp(`${A}:5000`, `${GATEWAY}:53`, { ttl: 5 }))] }));
    expect(nesting(steps[0]!, "enter").slice(0, 4)).toEqual([
      "BR prerouting v1> enter",
      "ip prerouting br0> enter",
      "BR input v1> enter",
      "ip input br0> enter",
    ]);
    expect(nesting(steps[0]!, "enter").filter((line) => line.startsWith("ip prerouting"))).toHaveLength(1);
  });

  const malformed = (call: number) => {
    const frame = { eth: { src: A_MAC, dst: B_MAC }, ...A_TO_B, ip: { ...A_TO_B.ip, csum: 1 } };
    const host = { sysctls: { "net.bridge.bridge-nf-call-iptables": call } };
    return run(bridged({ host, steps: [{ op: "frame", at: "a/eth0", frame }] })).steps[0]!;
  };

  test("Malformed IPv4 headers are dropped already here, even on frames only bridged", () => {
    expect(textsOn(malformed(1), "host/v2")).toEqual([]);
    expect(dropsOf(malformed(1))).toEqual(["IP_INHDR"]);
    expect(textsOn(malformed(0), "host/v2")).toHaveLength(1);
  });

  test("ARP and other ethertypes see only BR hooks", () => {
    const eth = { src: A_MAC, dst: B_MAC };
    const frames = [
      { eth, arp: { spa: A, tpa: B } },
      { eth, hex: "0102" },
    ];
    const { steps } = run(bridged({ steps: frames.map((frame) => ({ op: "frame", at: "a/eth0", frame })) }));
    for (const step of steps)
      expect(nesting(step, "enter").slice(0, 3)).toEqual([
        "BR prerouting v1> enter",
        "BR forward v1>v2 enter",
        "BR postrouting >v2 enter",
      ]);
    expect(steps.flatMap((step) => nesting(step)).filter((line) => line.startsWith("ip"))).toEqual([]);
  });

  test("Bridged DNAT: the packet stays at layer 2: destination MAC rewritten to the target container, source MAC and TTL kept, FORWARD sees br0→br0", () => {
    const { steps } = run(bridged({ host: { rules: PUBLISH }, steps: [listener, send(CALL)] }));
    const [arrived] = framesOn(steps[1]!.frames, "b/eth0", "in");
    expect(arrived!.text).toBe(`udp ${A}:5000 > ${B}:53 ttl 64`);
    expect([arrived!.source, arrived!.destination]).toEqual([A_MAC, B_MAC]);
    expect(nesting(steps[1]!, "enter").filter((line) => line.includes("forward"))).toEqual([
      "BR forward v1>v2 enter",
      "ip forward br0>br0 enter",
    ]);
  });

  test("While the neighbour has no cached header the frame shows up on the bridge device as out, afterwards not", () => {
    const warm: LabStep = { op: "raw", ns: "host", pkt: udp(`${GATEWAY}:1`, `${B}:53`) };
    const { steps } = run(
      bridged({ host: { rules: PUBLISH }, steps: [listener, send(CALL), send(CALL), warm, send(CALL)] }),
    );
    const onBridge = steps.map((step) => textsOn(step, "host/br0").length);
    expect(onBridge).toEqual([0, 1, 0, 1, 0]);
    expect(steps.map((step) => textsOn(step, "b/eth0", "in").length)).toEqual([0, 1, 1, 1, 1]);
  });

  test("With nf-call=0 the same packet is routed (TTL-1, host MAC), the reply is bridged untranslated and the client answers RST: connection fails", () => {
    const rules = table(
      "nat",
      `-A PREROUTING -d ${GATEWAY}/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination ${B}:80`,
    );
    const host = { rules, sysctls: { "net.bridge.bridge-nf-call-iptables": 0 } };
    const reply: LabStep = { op: "raw", ns: "b", pkt: tcp(`${B}:80`, `${A}:5000`, "SA", { seq: 900, ack: 1 }) };
    const { steps } = run(
      bridged({ host: { ...host }, steps: [send(tcp(`${A}:5000`, `${GATEWAY}:8080`, "S")), reply] }),
    );
    const [arrived] = framesOn(steps[0]!.frames, "b/eth0", "in");
    expect(arrived!.text).toBe(`tcp ${A}:5000 > ${B}:80 S ttl 63`);
    expect([arrived!.source, arrived!.destination]).toEqual([BRIDGE_MAC, B_MAC]);
    expect(textsOn(steps[1]!, "a/eth0", "in")).toEqual([`tcp ${B}:80 > ${A}:5000 SA ttl 64`]);
    expect(textsOn(steps[1]!, "a/eth0")).toEqual([`tcp ${A}:5000 > ${B}:80 R ttl 64`]);
  });

  test("If DNAT points off the bridge, the destination MAC becomes the bridge's and it is routed normally", () => {
    const rules = table("nat", `-A PREROUTING -d ${B}/32 -p udp -j DNAT --to-destination 192.168.1.9`);
    const { steps } = run(bridged({ host: { rules }, steps: [send(A_TO_B)] }));
    const [up] = framesOn(steps[0]!.frames, "host/br0", "in");
    expect([up!.source, up!.destination]).toEqual([A_MAC, BRIDGE_MAC]);
    expect(textsOn(steps[0]!, "host/eth0")).toEqual([`udp ${A}:5000 > 192.168.1.9:53 ttl 63`]);
    expect(textsOn(steps[0]!, "host/v2")).toEqual([]);
  });

  const SELF = `-A PREROUTING -d ${GATEWAY}/32 -p udp -m udp --dport 8080 -j DNAT --to-destination ${A}:53`;
  const hairpin = (on: boolean, masquerade: boolean) => {
    const rules = table("nat", SELF, ...(masquerade ? [`-A POSTROUTING -s ${A}/32 -d ${A}/32 -j MASQUERADE`] : []));
    const steps: LabStep[] = [
      { op: "udp", ns: "a", id: "l", bind: ["0.0.0.0", 53] },
      send(CALL),
      { op: "recv", id: "l" },
    ];
    return run(bridged({ host: { rules }, hairpin: on, steps })).steps;
  };
  const got = (steps: LabStepResult[]): number => (steps[2]!.result as { got: unknown[] }).got.length;

  test("A port without hairpin drops a frame that must return through it (05e)", () => {
    const without = hairpin(false, true);
    expect(textsOn(without[1]!, "host/v1")).toEqual([]);
    expect(got(without)).toBe(0);
    expect(got(hairpin(true, true))).toBe(1);
  });

  test("hairpin without own-address masquerade dies in the container with IP_LOCAL_SOURCE (05d)", () => {
    const without = hairpin(true, false);
    expect(textsOn(without[1]!, "a/eth0", "in")).toEqual([`udp ${A}:5000 > ${A}:53 ttl 64`]);
    expect(dropsOf(without[1]!)).toEqual(["IP_LOCAL_SOURCE"]);
    expect(got(without)).toBe(0);
  });
});
