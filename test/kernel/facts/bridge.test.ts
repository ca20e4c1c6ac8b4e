import { describe, expect, test } from "vitest";
import type { LabCase, LabDevice, LabStep } from "../../../src/scenario/lab-case.ts";
import { formatMac, parseMac } from "../../../src/wire/address.ts";
import { World } from "../../../src/world/world.ts";
import { dropsOf, run, sleep, textsOn } from "./router.ts";

const BRIDGE_MAC = "02:00:00:00:aa:01";
const PORT_MACS = ["02:00:00:00:bb:01", "02:00:00:00:bb:02", "02:00:00:00:bb:03"];
const [A, B, C] = ["02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"];
const NOWHERE = "02:00:00:00:77:77";
const BROADCAST = "ff:ff:ff:ff:ff:ff";

interface Options {
  readonly ports?: readonly LabDevice[];
}

/** A bridge with three ports; whoever is behind them is silent. */
function bridge(steps: LabStep[], { ports = [] }: Options = {}): LabCase {
  const port = (i: number): LabDevice => ({ master: "br0", mac: PORT_MACS[i]!, ...ports[i] });
  return {
    namespaces: {
      host: {
        sysctls: { "net.bridge.bridge-nf-call-iptables": 0 },
        devs: { br0: { type: "bridge", mac: BRIDGE_MAC }, v1: port(0), v2: port(1), v3: port(2) },
      },
      a: {},
      b: {},
      c: {},
    },
    veths: [
      ["host/v1", "a/eth0"],
      ["host/v2", "b/eth0"],
      ["host/v3", "c/eth0"],
    ],
    steps,
  };
}

const frame = (at: "a" | "b" | "c", src: string, dst: string): LabStep => ({
  op: "frame",
  at: `${at}/eth0`,
  frame: { eth: { src, dst }, hex: "00" },
});

/** Where the frames of the last step went: the ports it left by, and "up". */
function reached(steps: LabStep[], options: Options = {}): string[] {
  const result = run(bridge(steps, options));
  const last = result.steps[steps.length - 1]!;
  const out = ["v1", "v2", "v3"].filter((port) => textsOn(last, `host/${port}`).length > 0);
  return textsOn(last, "host/br0", "in").length > 0 ? [...out, "up"] : out;
}

interface FdbLine {
  readonly dev: string;
  readonly mac: string;
  readonly state: string;
}
const fdb = (steps: LabStep[], options: Options = {}): FdbLine[] =>
  run(bridge(steps, options)).final.fdb["host"] as FdbLine[];
const learned = (steps: LabStep[], options: Options = {}): string[] =>
  fdb(steps, options)
    .filter(({ state }) => state === "learned")
    .map(({ dev, mac }) => `${mac} ${dev}`);

describe("9 Bridge", () => {
  test("MAC = lowest port MAC unless set", () => {
    const macs = ["02:00:00:00:bb:09", "02:00:00:00:bb:01", "02:00:00:00:bb:05"];
    const own = (mac?: string): string[] => {
      const world = new World(1);
      world.addNamespace("host");
      world.addNamespace("peer");
      const made = world.addBridge({
        namespace: "host",
        device: "br0",
        mac: mac === undefined ? undefined : parseMac(mac),
      });
      return macs.map((each, i) => {
        const end = { namespace: "host", device: `v${i}`, mac: parseMac(each) };
        const [port] = world.addCable(end, { namespace: "peer", device: `p${i}` });
        made.attach(port);
        return formatMac(made.macHigh, made.macLow);
      });
    };
    expect(own()).toEqual([macs[0], macs[1], macs[1]]);
    expect(own(BRIDGE_MAC)).toEqual([BRIDGE_MAC, BRIDGE_MAC, BRIDGE_MAC]);
  });

  test("Local FDB entries for the bridge and every port MAC: frames to any of them go up", () => {
    for (const mac of [BRIDGE_MAC, ...PORT_MACS]) expect(reached([frame("a", A!, mac)])).toEqual(["up"]);
    expect(reached([frame("a", A!, NOWHERE)])).toEqual(["v2", "v3"]);
    expect(
      fdb([])
        .filter(({ state }) => state === "permanent")
        .map(({ mac }) => mac)
        .sort(),
    ).toEqual([BRIDGE_MAC, ...PORT_MACS].sort());
  });

  test("Learns unicast sources", () => {
    expect(reached([frame("b", B!, NOWHERE), frame("a", A!, B!)])).toEqual(["v2"]);
    expect(reached([frame("a", A!, B!)])).toEqual(["v2", "v3"]);
    expect(learned([frame("b", B!, NOWHERE)])).toEqual([`${B} v2`]);
  });

  test("moves at once", () => {
    expect(reached([frame("b", B!, NOWHERE), frame("c", B!, NOWHERE), frame("a", A!, B!)])).toEqual(["v3"]);
  });

  test("ageing 300 s exact", () => {
    const seen = (ms: number) => reached([frame("b", B!, NOWHERE), sleep(ms), frame("a", A!, B!)]);
    expect(seen(299_999)).toEqual(["v2"]);
    expect(seen(300_001)).toEqual(["v2", "v3"]);
    expect(
      reached([frame("b", B!, NOWHERE), sleep(299_000), frame("b", B!, NOWHERE), sleep(299_000), frame("a", A!, B!)]),
    ).toEqual(["v2"]);
  });

  test("port down flushes", () => {
    const link = (up: boolean): LabStep => ({ op: "link", dev: "host/v2", up });
    expect(reached([frame("b", B!, NOWHERE), link(false), link(true), sleep(10), frame("a", A!, B!)])).toEqual([
      "v2",
      "v3",
    ]);
    expect(learned([frame("b", B!, NOWHERE), frame("c", C!, NOWHERE), link(false)])).toEqual([`${C} v3`]);
  });

  test.each(["01:00:5e:00:00:01", "03:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])(
    "Source multicast or zero is dropped: %s",
    (source) => {
      expect(reached([frame("a", source, BROADCAST)])).toEqual([]);
      expect(dropsOf(run(bridge([frame("a", source, BROADCAST)])).steps[0]!)).toEqual(["MAC_INVALID_SOURCE"]);
      expect(reached([frame("a", "00:00:00:00:00:01", BROADCAST)])).toEqual(["v2", "v3", "up"]);
    },
  );

  test("Known destination on the same port → dropped without hairpin", () => {
    const steps = [frame("a", A!, NOWHERE), frame("a", C!, A!)];
    expect(reached(steps)).toEqual([]);
    expect(reached(steps, { ports: [{ hairpin: true }] })).toEqual(["v1"]);
  });

  const group = (last: string): string[] => reached([frame("a", A!, `01:80:c2:00:00:${last}`)]);

  test("01:80:c2:00:00:00 is forwarded with STP off", () => {
    expect(group("00")).toEqual(["v2", "v3", "up"]);
  });

  test(":01 is dropped", () => {
    expect(group("01")).toEqual([]);
    expect(dropsOf(run(bridge([frame("a", A!, "01:80:c2:00:00:01")])).steps[0]!)).toHaveLength(1);
  });

  test.each(["02", "03", "0d", "0e", "0f"])(":0e and others go up only: %s", (last) => {
    expect(group(last)).toEqual([]);
    const { steps } = run(bridge([frame("a", A!, `01:80:c2:00:00:${last}`)]));
    expect(textsOn(steps[0]!, "host/v1", "in")).toHaveLength(1);
    // The host has no protocol for what the frame carries.
    expect(dropsOf(steps[0]!)).toEqual(["UNHANDLED_PROTO"]);
  });

  test.each(["10", "20", "2f", "ff"])(":10 and above flood: %s", (last) => {
    expect(group(last)).toEqual(["v2", "v3", "up"]);
  });

  test("isolated blocks isolated↔isolated", () => {
    const ports = [{ isolated: true }, { isolated: true }, {}];
    expect(reached([frame("a", A!, BROADCAST)], { ports })).toEqual(["v3", "up"]);
    expect(reached([frame("c", C!, BROADCAST)], { ports })).toEqual(["v1", "v2", "up"]);
    expect(reached([frame("b", B!, NOWHERE), frame("a", A!, B!)], { ports })).toEqual([]);
    expect(reached([frame("b", B!, NOWHERE), frame("c", C!, B!)], { ports })).toEqual(["v2"]);
    expect(reached([frame("a", A!, BRIDGE_MAC)], { ports })).toEqual(["up"]);
  });

  const MULTICAST = "01:00:5e:01:02:03";

  test.each([
    ["flood", NOWHERE],
    ["bcast_flood", BROADCAST],
    ["mcast_flood", MULTICAST],
  ])("%s acts on egress", (flag, to) => {
    const off = (port: number) =>
      reached([frame("a", A!, to)], { ports: [0, 1, 2].map((i) => (i === port ? { [flag]: false } : {})) });
    const up = to === NOWHERE ? [] : ["up"];
    expect(off(1)).toEqual(["v3", ...up]);
    expect(off(0)).toEqual(["v2", "v3", ...up]);
    for (const other of [NOWHERE, BROADCAST, MULTICAST].filter((each) => each !== to)) {
      const ports = [{}, { [flag]: false }];
      expect(reached([frame("a", A!, other)], { ports }).slice(0, 2)).toEqual(["v2", "v3"]);
    }
  });

  test("STP off: forwarding immediately", () => {
    const link = (up: boolean): LabStep => ({ op: "link", dev: "host/v2", up });
    expect(reached([frame("a", A!, NOWHERE)])).toEqual(["v2", "v3"]);
    expect(reached([link(false), frame("a", A!, NOWHERE)])).toEqual(["v3"]);
    expect(reached([link(false), link(true), frame("a", A!, NOWHERE)])).toEqual(["v2", "v3"]);
  });
});
