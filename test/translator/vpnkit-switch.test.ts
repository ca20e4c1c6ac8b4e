import { describe, expect, it } from "vitest";
import * as icmp from "../../src/wire/icmp.ts";
import { icmpPacket, tcpPacket, udpPacket } from "../frames.ts";
import {
  endpoint,
  GATEWAY,
  GUEST,
  GUEST_MAC,
  HOST,
  REMOTE,
  readError,
  SECOND,
  SERVER_MAC,
  type Seen,
  TranslatorStage,
} from "./stage.ts";

const OTHER_MAC = "02:50:00:00:00:02";

function ping(stage: TranslatorStage, fields: Parameters<typeof icmpPacket>[1] = {}, data = [1, 2, 3, 4]): void {
  stage.send(icmpPacket(stage.pool, { source: GUEST, destination: REMOTE, ...fields }, data));
}

const echo = ({ view, at }: Seen) => [icmp.type(view, at), icmp.identifier(view, at), icmp.sequence(view, at)];

describe("ARP of vpnkit", () => {
  it("gives gateway and host the MAC address F6:16:36:BC:F9:C6", () => {
    const stage = new TranslatorStage();
    stage.sendArp(GATEWAY);
    stage.sendArp(HOST);
    expect(stage.take()).toMatchObject([
      { sourceMac: SERVER_MAC, destinationMac: GUEST_MAC, source: GATEWAY, destination: GUEST },
      { sourceMac: SERVER_MAC, destinationMac: GUEST_MAC, source: HOST, destination: GUEST },
    ]);
    expect(stage.balanced).toBe(true);
  });

  it("is nobody's proxy: for other addresses there is silence", () => {
    const stage = new TranslatorStage();
    stage.sendArp("192.168.65.77");
    stage.sendArp(REMOTE);
    expect(stage.take()).toEqual([]);
    expect(stage.drops()).toEqual({ ARP_NO_ENTRY: 2 });
  });

  it("knows the other guests, each by the address that it was given from 192.168.65.3 on", () => {
    const stage = new TranslatorStage({ guests: 2 });
    stage.send(udpPacket(stage.pool, { source: "192.168.65.4", destination: REMOTE }), { source: OTHER_MAC, guest: 1 });
    stage.sendArp("192.168.65.4");
    expect(stage.take()).toMatchObject([{ sourceMac: OTHER_MAC, source: "192.168.65.4" }]);
  });
});

describe("the switch", () => {
  it("passes frames between guests by MAC address", () => {
    const stage = new TranslatorStage({ guests: 2 });
    ping(stage);
    const packet = icmpPacket(stage.pool, { source: "192.168.65.4", destination: GUEST });
    stage.send(packet, { source: OTHER_MAC, destination: GUEST_MAC, guest: 1 });
    expect(stage.take(0)).toMatchObject([{ sourceMac: OTHER_MAC, destinationMac: GUEST_MAC }]);
    expect(stage.host.pings).toHaveLength(1);
  });

  it.each([
    ["vpnkit", 1],
    ["gvproxy", 0],
    ["slirp4netns", 0],
    ["honest", 1],
  ] as const)("of %s sends a frame for an unknown MAC address to %i other guest", (preset, copies) => {
    const stage = new TranslatorStage({ preset, guests: 2 });
    stage.send(icmpPacket(stage.pool, { source: GUEST }), { destination: OTHER_MAC });
    expect(stage.take(1)).toHaveLength(copies);
    expect(stage.drops()).toEqual(copies === 0 ? { NO_TX_TARGET: 1 } : {});
  });

  it("drops a frame that is longer than the other guest's MTU and its header", () => {
    const stage = new TranslatorStage({ guests: 2 });
    stage.taps[1]!.mtu = 9000;
    ping(stage);
    for (const length of [1472, 1477]) {
      const packet = icmpPacket(stage.pool, { source: "192.168.65.4", destination: GUEST }, new Array(length).fill(0));
      stage.send(packet, { source: OTHER_MAC, destination: GUEST_MAC, guest: 1 });
    }
    expect(stage.take(0).map(({ bytes }) => bytes.length)).toEqual([1514]);
    expect(stage.drops()).toEqual({ PKT_TOO_BIG: 1 });
  });

  it("drops what is neither IPv4 nor ARP", () => {
    const stage = new TranslatorStage();
    const packet = icmpPacket(stage.pool, { source: GUEST });
    packet.view.setUint16(14, 0x86dd);
    stage.send(packet);
    expect(stage.drops()).toEqual({ UNHANDLED_PROTO: 1 });
  });
});

describe("endpoints of vpnkit", () => {
  it("impersonate one host each: ten destinations are ten endpoints", () => {
    const stage = new TranslatorStage();
    for (let i = 0; i < 10; i++) ping(stage, { destination: `203.0.113.${i}` });
    ping(stage, { destination: "203.0.113.0" });
    expect(stage.guests[0]!.impersonationCount).toBe(10);
  });

  it("go when no frame has come for 300 s, at the next sweep of 30 s", () => {
    const stage = new TranslatorStage();
    ping(stage);
    stage.pass(299);
    ping(stage);
    stage.pass(300);
    expect(stage.guests[0]!.impersonationCount).toBe(1);
    stage.pass(31);
    expect(stage.guests[0]!.impersonationCount).toBe(0);
    expect(stage.fabric.scheduler.next).toBe(Number.POSITIVE_INFINITY);
  });

  it("are bounded: the first made goes for the 16,385th", () => {
    const stage = new TranslatorStage({ behaviour: { icmp: { idle: 60, carriesTtl: true } } });
    for (let i = 0; i < 16_400; i++) ping(stage, { destination: `203.1.${i >> 8}.${i & 255}` });
    expect(stage.guests[0]!.impersonationCount).toBe(16_384);
  }, 60_000);
});

describe("ICMP of vpnkit", () => {
  it("answers by itself for gateway and host", () => {
    const stage = new TranslatorStage();
    ping(stage, { destination: GATEWAY, rest: 0x1234_0007 });
    ping(stage, { destination: HOST });
    const frames = stage.take();
    expect(frames).toMatchObject([
      { source: GATEWAY, destination: GUEST },
      { source: HOST, destination: GUEST },
    ]);
    expect(echo(frames[0]!)).toEqual([0, 0x1234, 7]);
    expect(stage.host.pings).toHaveLength(0);
  });

  it("gives a guest's address and identifier an identifier of its own outside, and takes it back", () => {
    const stage = new TranslatorStage();
    ping(stage, { rest: (77 << 16) | 5, ttl: 9 });
    const [socket] = stage.host.pings;
    expect(socket!.sent).toEqual([{ data: Uint8Array.of(1, 2, 3, 4), to: REMOTE, sequence: 5, ttl: 9 }]);
    socket!.events.echo(endpoint(`${REMOTE}:0`).address, 5, Uint8Array.of(1, 2, 3, 4), 0);
    const [frame] = stage.take();
    expect(frame).toMatchObject({ source: REMOTE, destination: GUEST });
    expect(echo(frame!)).toEqual([0, 77, 5]);
    ping(stage, { rest: (78 << 16) | 1 });
    expect(stage.host.pings).toHaveLength(2);
  });

  it("forgets an identifier after 60 s", () => {
    const stage = new TranslatorStage();
    ping(stage);
    stage.pass(59);
    expect(stage.host.pings[0]!.closed).toBe(false);
    stage.pass(2);
    expect(stage.host.pings[0]!.closed).toBe(true);
    expect(stage.guests[0]!.icmp.size).toBe(0);
  });

  it("hands on Time Exceeded about an echo request, but not Unreachable", () => {
    const stage = new TranslatorStage();
    ping(stage, { rest: (77 << 16) | 5 });
    const { events } = stage.host.pings[0]!;
    const from = endpoint("198.51.100.1:0").address;
    events.error({ errno: "EHOSTUNREACH", icmp: { type: 3, code: 1, information: 0, from, ttl: 60 } }, 5, 0);
    expect(stage.take()).toEqual([]);
    events.error({ errno: "EHOSTUNREACH", icmp: { type: 11, code: 0, information: 0, from, ttl: 60 } }, 5, 0);
    const [frame] = stage.take();
    expect(frame).toMatchObject({ source: "198.51.100.1", destination: GUEST });
    expect(readError(frame!)).toMatchObject({ type: 11, quotedSource: GUEST, quotedDestination: REMOTE, valid: true });
    expect(icmp.identifier(frame!.view, frame!.at + 28)).toBe(77);
  });

  it("is off where the host has no such sockets", () => {
    const stage = new TranslatorStage();
    stage.host.pingAllowed = false;
    ping(stage);
    expect(stage.drops()).toEqual({ ECHO_UNSUPPORTED: 1 });
  });

  it("carries no TTL for gvproxy", () => {
    const stage = new TranslatorStage({ preset: "gvproxy" });
    ping(stage, { ttl: 1 });
    expect(stage.host.pings[0]!.sent[0]!.ttl).toBe(0);
  });
});

describe("capture rings of vpnkit", () => {
  it("keep frames by what they are, and what was dropped", () => {
    const stage = new TranslatorStage({ capture: true });
    ping(stage);
    stage.send(udpPacket(stage.pool, { source: GUEST, destination: REMOTE, destinationPort: 53 }, [1]));
    stage.send(udpPacket(stage.pool, { source: GUEST, destination: REMOTE, destinationPort: 123 }, [1]));
    stage.send(tcpPacket(stage.pool, { source: GUEST, destination: GATEWAY, destinationPort: 3128 }));
    const broken = icmpPacket(stage.pool, { source: GUEST });
    broken.view.setUint16(26, 0xbad);
    stage.send(broken);
    const count = (ring: Parameters<NonNullable<typeof stage.translator.rings>["frames"]>[0]) =>
      [...stage.translator.rings!.frames(ring)].length;
    expect(count("all")).toBeGreaterThanOrEqual(5);
    expect([count("dns"), count("ntp"), count("icmp"), count("http_proxy")]).toEqual([1, 1, 2, 1]);
    expect(count("bad")).toBeGreaterThanOrEqual(1);
  });

  it("have 256 KiB for all (cut at 128 bytes), 256 for DNS, 64 for NTP, 8 for ICMP, 1024 for proxies, 1024 for bad", () => {
    const stage = new TranslatorStage({ capture: true });
    const { rings } = stage.translator;
    const bytes = (ring: Parameters<NonNullable<typeof rings>["frames"]>[0]) =>
      [...rings!.frames(ring)].reduce((sum, frame) => sum + frame.bytes.length, 0);
    for (let i = 0; i < 3000; i++) ping(stage, { rest: i }, new Array(1000).fill(i & 255));
    expect([...rings!.frames("all")].every((frame) => frame.bytes.length === 128 && frame.length === 1042)).toBe(true);
    expect(bytes("all")).toBeGreaterThan(210 * 1024);
    expect(bytes("all")).toBeLessThanOrEqual(256 * 1024);
    expect(bytes("icmp")).toBeGreaterThan(6 * 1024);
    expect(bytes("icmp")).toBeLessThanOrEqual(8 * 1024);
    const last = [...rings!.frames("icmp")].at(-1)!;
    expect(last.bytes.at(-1)).toBe(2999 & 255);
    expect(last.time).toBeLessThan(SECOND);
  });
});
