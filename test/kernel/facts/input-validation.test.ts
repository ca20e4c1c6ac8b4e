import { describe, expect, test } from "vitest";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../../src/scenario/lab-packet.ts";
import {
  CLIENT,
  CLIENT_MAC,
  dropsOf,
  fromClient,
  fromServer,
  hits,
  INNER,
  INNER_MAC,
  OUTER,
  type RouterOptions,
  runRouter,
  SERVER,
  table,
  toClient,
  toServer,
  udp,
} from "./router.ts";

const COUNTED = table("raw", "-A PREROUTING");
const datagram = (from: string, to = SERVER, ip: Partial<PacketSpec["ip"]> = {}): PacketSpec =>
  udp(`${from}:5000`, `${to}:53`, ip);

/** Why the router drops what arrives; "" for a packet that goes on, and how often PREROUTING saw it. */
function fate(step: LabStep, options: RouterOptions = {}): [string, number] {
  const result = runRouter([step], { rules: COUNTED, ...options });
  const reasons = result.steps[0]!.frames.some(({ dev, dir, ns }) => ns === "router" && dir === "out" && dev !== "lo")
    ? []
    : dropsOf(result.steps[0]!);
  return [reasons.join(), hits(result, "PREROUTING", 1, "raw")];
}
const reason = (packet: PacketSpec, options: RouterOptions = {}): string => fate(fromClient(packet), options)[0];
const anyDevice = (key: string, value: number) => ({ sysctls: { [`net.ipv4.conf.all.${key}`]: value } });

describe("7 Input validation, in order", () => {
  const frame = (dst: string, packet: PacketSpec): LabStep => ({
    op: "frame",
    at: "c/eth0",
    frame: { eth: { src: CLIENT_MAC, dst }, ...packet },
  });
  const martian = "0.0.0.0";

  test("other-host MAC before header checksum/length", () => {
    expect(fate(frame("02:00:00:00:77:77", datagram(martian, SERVER, { csum: 1 })))).toEqual(["OTHERHOST", 0]);
  });

  test("header checksum/length before PREROUTING", () => {
    expect(fate(frame(INNER_MAC, datagram(martian, SERVER, { csum: 1 })))).toEqual(["IP_CSUM", 0]);
    expect(fate(frame(INNER_MAC, datagram(martian, SERVER, { len: 2000 })))).toEqual(["PKT_TOO_SMALL", 0]);
    expect(fate(frame(INNER_MAC, datagram(martian, SERVER, { len: 19 })))).toEqual(["IP_INHDR", 0]);
  });

  test("PREROUTING, then route", () => {
    expect(fate(frame(INNER_MAC, datagram(martian)))).toEqual(["IP_INVALID_SOURCE", 1]);
    const rules = table("raw", "-A PREROUTING -j DROP");
    expect(fate(frame(INNER_MAC, datagram(martian)), { rules })).toEqual(["NETFILTER_DROP", 1]);
    expect(fate(frame(INNER_MAC, datagram(CLIENT)))).toEqual(["", 1]);
  });
});

describe("7 Input validation", () => {
  test.each(["224.0.0.1", "239.255.255.255", "255.255.255.255", "0.0.0.0"])(
    "source multicast/limited broadcast/0.0.0.0 → IP_INVALID_SOURCE: %s",
    (source) => {
      expect(reason(datagram(source))).toBe("IP_INVALID_SOURCE");
    },
  );

  test.each(["1.0.0.1", "223.255.255.255", "240.0.0.1", "255.255.255.254"])(
    "240/4 is ordinary, and so are the neighbours of what is not: source %s",
    (source) => {
      expect(reason(datagram(source))).toBe("");
    },
  );

  test.each(["0.0.0.1", "0.255.255.255"])("the rest of 0/8 is ordinary: %s", (address) => {
    expect(reason(datagram(address))).toBe("");
    expect(reason(datagram(CLIENT, address), { routes: [`0.0.0.0/1 via ${SERVER} dev eth1`] })).toBe("");
  });

  test("240/4 is ordinary as a destination", () => {
    expect(reason(datagram(CLIENT, "240.0.0.1"), { routes: [`240.0.0.0/4 via ${SERVER} dev eth1`] })).toBe("");
  });

  test("source or destination 127/8 from outside unless route_localnet → IP_LOCALNET", () => {
    for (const address of ["127.0.0.1", "127.255.255.254"]) {
      expect(reason(datagram(address))).toBe("IP_LOCALNET");
      expect(reason(datagram(CLIENT, address))).toBe("IP_LOCALNET");
    }
    expect(reason(datagram(CLIENT, "126.255.255.255"), { routes: [`126.0.0.0/8 via ${SERVER} dev eth1`] })).toBe("");
    const open = { sysctls: { "net.ipv4.conf.eth0.route_localnet": 1 } };
    const answered = runRouter([fromClient(datagram(CLIENT, "127.0.0.1"))], open).steps[0]!;
    expect(dropsOf(answered)).not.toContain("IP_LOCALNET");
    expect(answered.frames.length).toBeGreaterThan(0);
  });

  test("destination 0.0.0.0", () => {
    expect(reason(datagram(CLIENT, "0.0.0.0"))).toBe("IP_INVALID_DEST");
  });

  test("own address as source → dropped even with rp_filter=0 unless accept_local", () => {
    for (const source of [INNER, OUTER]) {
      expect(reason(datagram(source))).toBe("IP_LOCAL_SOURCE");
      expect(reason(datagram(source), anyDevice("accept_local", 1))).toBe("");
    }
    expect(reason(datagram("10.0.1.2"))).toBe("");
  });
});

describe("7 rp_filter", () => {
  const routes = [`10.9.0.0/16 via ${SERVER} dev eth1`];
  const filtered = (source: string, all: number, device = 0): string =>
    reason(datagram(source), {
      routes,
      sysctls: { "net.ipv4.conf.all.rp_filter": all, "net.ipv4.conf.eth0.rp_filter": device },
    });
  const behindServer = "10.9.0.1";
  const unknown = "10.77.0.1";

  test("1 (reverse route must use the arrival device)", () => {
    expect([filtered(CLIENT, 1), filtered(behindServer, 1), filtered(unknown, 1)]).toEqual([
      "",
      "IP_RPFILTER",
      "IP_RPFILTER",
    ]);
  });

  test("or 2 (any route)", () => {
    expect([filtered(CLIENT, 2), filtered(behindServer, 2), filtered(unknown, 2)]).toEqual(["", "", "IP_RPFILTER"]);
  });

  test("0 takes all", () => {
    expect([filtered(CLIENT, 0), filtered(behindServer, 0), filtered(unknown, 0)]).toEqual(["", "", ""]);
  });

  test("max(all, dev)", () => {
    const mixed = [
      [0, 1],
      [1, 0],
      [1, 1],
      [2, 0],
      [0, 2],
      [1, 2],
      [2, 1],
    ].map(([all, device]) => filtered(behindServer, all!, device!));
    expect(mixed).toEqual(["IP_RPFILTER", "IP_RPFILTER", "IP_RPFILTER", "", "", "", ""]);
  });
});

describe("7 Policy rules", () => {
  const towards = (gateway: string, dev: string, tableId: number) => ({
    dst: "default",
    via: gateway,
    dev,
    table: tableId,
  });
  const routes = [towards(CLIENT, "eth0", 100), towards(SERVER, "eth1", 101)];
  const leavesBy = (options: RouterOptions): string => {
    const step = runRouter([fromServer(datagram("10.9.9.9", "198.51.100.1"))], { routes, ...options }).steps[0]!;
    return toClient(step).length > 0
      ? "eth0"
      : toServer(step).filter((line) => line.startsWith("udp")).length > 0
        ? "eth1"
        : "none";
  };

  test("order by priority", () => {
    const rule = (prio: number, tableId: number) => ({ prio, table: tableId });
    expect(leavesBy({ policy: [rule(50, 100), rule(60, 101)] })).toBe("eth0");
    expect(leavesBy({ policy: [rule(60, 101), rule(50, 100)] })).toBe("eth0");
    expect(leavesBy({ policy: [rule(50, 101), rule(60, 100)] })).toBe("eth1");
    expect(leavesBy({ policy: [rule(40_000, 100)], routes: [...routes, `default via ${SERVER} dev eth1`] })).toBe(
      "eth1",
    );
    expect(leavesBy({ policy: [rule(32_765, 100)], routes: [...routes, `default via ${SERVER} dev eth1`] })).toBe(
      "eth0",
    );
  });

  test("fwmark from PREROUTING", () => {
    const policy = [{ fwmark: 5, table: 100, prio: 50 }];
    const marked = (mark: number) =>
      leavesBy({ policy, rules: table("mangle", `-A PREROUTING -j MARK --set-mark ${mark}`) });
    expect([marked(5), marked(4)]).toEqual(["eth0", "none"]);
    expect(leavesBy({ policy })).toBe("none");
  });
});
