import { describe, expect, test } from "vitest";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../../src/scenario/lab-packet.ts";
import type { Ipv4Fields } from "./frame-text.ts";
import {
  CLIENT,
  CLIENT_MAC,
  framesOn,
  fromClient,
  INNER,
  INNER_MAC,
  OUTER,
  type RouterOptions,
  runRouter,
  SERVER,
  SERVER_MAC,
  table,
  tcp,
  toClient,
  toServer,
  udp,
} from "./router.ts";

/** What the router sends back to the client for one packet. */
function answer(packet: PacketSpec, options: RouterOptions = {}): Ipv4Fields | null {
  const { steps } = runRouter([fromClient(packet)], options);
  const frames = framesOn(steps[0]!.frames, "router/eth0");
  expect(frames.length).toBeLessThanOrEqual(1);
  return frames[0]?.ip ?? null;
}
const text = (packet: PacketSpec, options: RouterOptions = {}): string | null => answer(packet, options)?.text ?? null;

const CLOSED = `${INNER}:53`;
const FROM = `${CLIENT}:5000`;
const expired = { ttl: 1 };

describe("6 ICMP errors made by the box", () => {
  test("Quoted: up to 548 bytes (576 in all), TOS 0xC0, TTL 64, DF clear", () => {
    const error = (size: number) => answer(udp(FROM, CLOSED, { df: true }, size))!;
    expect([error(1400).length, error(1400).icmp!.quotedBytes]).toEqual([576, 548]);
    expect([error(520).length, error(520).icmp!.quotedBytes]).toEqual([576, 548]);
    expect([error(519).length, error(519).icmp!.quotedBytes]).toEqual([575, 547]);
    expect([error(521).length, error(521).icmp!.quotedBytes]).toEqual([576, 548]);
    expect(error(1400)).toMatchObject({ tos: 0xc0, ttl: 64, dontFragment: false, valid: true });
  });

  test("Source: for a packet addressed to us, that address", () => {
    expect(text(udp(FROM, `${OUTER}:53`))).toBe(`icmp ${OUTER} > ${CLIENT} 3/3 ttl 64`);
    expect(text(udp(FROM, "192.0.2.7:53"), { addrs: [["lo", "192.0.2.7/32"]] })).toBe(
      `icmp 192.0.2.7 > ${CLIENT} 3/3 ttl 64`,
    );
  });

  test("otherwise what routing towards the offender picks – the output device's address, not the arrival device's (icmp_errors_use_inbound_ifaddr=0)", () => {
    const routes = [`10.9.0.0/16 via ${SERVER} dev eth1`];
    const error = (inbound: number) => {
      const sysctls = { "net.ipv4.icmp_errors_use_inbound_ifaddr": inbound };
      return toServer(
        runRouter([fromClient(udp("10.9.0.5:1", `${SERVER}:53`, expired))], { routes, sysctls }).steps[0]!,
      );
    };
    expect(error(0)).toEqual([`icmp ${OUTER} > 10.9.0.5 11/0 ttl 64`]);
    expect(error(1)).toEqual([`icmp ${INNER} > 10.9.0.5 11/0 ttl 64`]);
  });

  test("None for: ICMP errors or unknown ICMP types", () => {
    const message = (type: number) => ({ ip: { src: CLIENT, dst: SERVER, ttl: 1 }, icmp: { type, size: 8 } });
    const answered = Array.from({ length: 21 }, (_, type) => type).filter((type) => text(message(type)) !== null);
    expect(answered).toEqual([0, 8, 13, 14, 15, 16, 17, 18]);
  });

  test("None for: non-first fragments", () => {
    const piece = (off: number, mf: boolean): PacketSpec => ({
      ip: { src: CLIENT, dst: SERVER, ttl: 1, off, mf, slice: [0, 16] },
      udp: { sport: 1, dport: 2, size: 8 },
    });
    expect(text(piece(0, true))).toBe(`icmp ${INNER} > ${CLIENT} 11/0 ttl 64`);
    expect(text(piece(8, true))).toBeNull();
    expect(text(piece(8, false))).toBeNull();
  });

  const asFrame = (dst: string, packet: PacketSpec, mac = CLIENT_MAC): LabStep => ({
    op: "frame",
    at: "c/eth0",
    frame: { eth: { src: mac, dst }, ...packet },
  });
  const sent = (step: LabStep, options: RouterOptions = {}): string[] => toClient(runRouter([step], options).steps[0]!);

  test("None for: frames not addressed to us at L2", () => {
    const packet = udp(FROM, CLOSED);
    expect(sent(asFrame(INNER_MAC, packet))).toHaveLength(1);
    for (const mac of ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:05", "02:00:00:00:77:77"])
      expect(sent(asFrame(mac, packet))).toEqual([]);
  });

  test("None for: multicast/broadcast destination", () => {
    for (const to of ["10.0.1.255", "255.255.255.255", "224.0.0.1"])
      expect(sent(asFrame(INNER_MAC, udp(FROM, `${to}:53`)))).toEqual([]);
  });

  test("None for: invalid source", () => {
    for (const from of ["0.0.0.0", "255.255.255.255", "224.0.0.9", "127.0.0.1", INNER]) {
      const { steps } = runRouter([fromClient(udp(`${from}:1`, CLOSED))]);
      expect(framesOn(steps[0]!.frames, "router/eth0")).toEqual([]);
    }
  });
});

describe("6 Codes", () => {
  const onward = udp(FROM, "10.9.0.1:53");
  const error = (code: string, from = INNER): string => `icmp ${from} > ${CLIENT} ${code} ttl 64`;

  test("TTL 11/0 (TTL 0 arriving too)", () => {
    expect(text(udp(FROM, `${SERVER}:53`, { ttl: 0 }))).toBe(error("11/0"));
    expect(text(udp(FROM, `${SERVER}:53`, { ttl: 1 }))).toBe(error("11/0"));
    expect(text(udp(FROM, `${SERVER}:53`, { ttl: 2 }))).toBeNull();
    expect(text(udp(FROM, CLOSED, { ttl: 0 }))).toBe(error("3/3"));
  });

  test("no route 3/0", () => {
    expect(text(onward)).toBe(error("3/0"));
  });

  test("ip_forward=0 nothing", () => {
    const sysctls = { "net.ipv4.ip_forward": 0 };
    expect(text(onward, { sysctls })).toBeNull();
    expect(text(udp(FROM, `${SERVER}:53`), { sysctls })).toBeNull();
    expect(text(udp(FROM, CLOSED), { sysctls })).toBe(error("3/3"));
  });

  test("unreachable 3/1", () => {
    expect(text(onward, { routes: ["unreachable 10.9.0.0/16"] })).toBe(error("3/1"));
  });

  test("prohibit 3/13", () => {
    expect(text(onward, { routes: ["prohibit 10.9.0.0/16"] })).toBe(error("3/13"));
  });

  test("blackhole nothing", () => {
    expect(text(onward, { routes: ["blackhole 10.9.0.0/16"] })).toBeNull();
  });

  test("throw → next table", () => {
    const policy = [{ prio: 100, table: 100 }];
    const towards = { dst: "10.9.0.0/16", via: CLIENT, dev: "eth0", table: 100 };
    const thrown = { type: "throw", dst: "10.9.0.0/24", table: 100 };
    const main = `10.9.0.0/16 via ${SERVER} dev eth1`;
    const leaves = (routes: NonNullable<RouterOptions["routes"]>) =>
      toServer(runRouter([fromClient(onward)], { routes, policy }).steps[0]!).length;
    expect([leaves([towards, main]), leaves([towards, thrown, main])]).toEqual([0, 1]);
    expect(text(onward, { routes: [towards, thrown], policy })).toBe(error("3/0"));
  });

  test("MTU with DF 3/4 + mtu", () => {
    const options = { devs: { eth1: { mtu: 1280, mac: "02:00:00:00:01:02" } } };
    const big = answer(udp(FROM, `${SERVER}:53`, { df: true }, 1253), options)!;
    expect([big.text, big.icmp!.mtu]).toEqual([error("3/4"), 1280]);
    expect(text(udp(FROM, `${SERVER}:53`, { df: true }, 1252), options)).toBeNull();
    expect(text(udp(FROM, `${SERVER}:53`, {}, 1253), options)).toBeNull();
  });

  test("unknown protocol 3/2", () => {
    expect(text({ ip: { src: CLIENT, dst: INNER }, proto: 253, raw: "00010203" })).toBe(error("3/2"));
  });

  test("UDP port 3/3", () => {
    expect(text(udp(FROM, CLOSED))).toBe(error("3/3"));
  });

  test("TCP → RST (RST|ACK to a SYN, DF, id 0)", () => {
    const syn = answer(tcp(FROM, `${INNER}:80`, "S", { seq: 1000 }))!;
    expect(syn).toMatchObject({ text: `tcp ${INNER}:80 > ${FROM} RA ttl 64`, dontFragment: true, id: 0, valid: true });
    expect(syn.tcp).toMatchObject({ sequence: 0, acknowledgement: 1001 });
    const ack = answer(tcp(FROM, `${INNER}:80`, "A", { seq: 1000, ack: 77 }))!;
    expect(ack.tcp).toEqual({ flags: "R", sequence: 77, acknowledgement: 0 });
    expect(answer(tcp(FROM, `${INNER}:80`, "R", { seq: 1000 }))).toBeNull();
  });
});

describe("6 Quotes", () => {
  const quotedTtl = (packet: PacketSpec, options: RouterOptions = {}): number =>
    answer(packet, options)!.icmp!.quote!.ttl;

  test("show TTL before decrement for TTL and MTU errors", () => {
    expect(quotedTtl(udp(FROM, `${SERVER}:53`, { ttl: 1 }))).toBe(1);
    const options = { devs: { eth1: { mtu: 1280, mac: "02:00:00:00:01:02" } } };
    expect(quotedTtl(udp(FROM, `${SERVER}:53`, { df: true, ttl: 9 }, 1400), options)).toBe(9);
  });

  test("after it for REJECT", () => {
    const rules = table("filter", "-A FORWARD -j REJECT", "-A INPUT -j REJECT");
    expect(quotedTtl(udp(FROM, `${SERVER}:53`, { ttl: 9 }), { rules })).toBe(8);
    expect(quotedTtl(udp(FROM, CLOSED, { ttl: 9 }), { rules })).toBe(9);
  });

  test("after it for host-unreachable", () => {
    const { steps } = runRouter([fromClient(udp(FROM, "10.0.2.99:53", { ttl: 9 })), { op: "sleep", ms: 3300 }]);
    expect(framesOn(steps[1]!.frames, "router/eth0")[0]!.ip!.icmp!.quote!.ttl).toBe(8);
  });

  test("after it for redirect", () => {
    const neigh: [string, string, string][] = [["eth0", "10.0.1.77", SERVER_MAC]];
    const { steps } = runRouter([fromClient(udp(FROM, "10.0.1.77:53", { ttl: 9 }))], { neigh });
    expect(framesOn(steps[0]!.frames, "router/eth0")[0]!.ip!.icmp!.quote!.ttl).toBe(8);
  });
});
