import { describe, expect, it } from "vitest";
import { parseSets } from "../../../src/kernel/netfilter/ipset-text.ts";
import { icmpPacket, rawPacket, tcpPacket, udpPacket } from "../../frames.ts";
import { pool } from "./one-rule.ts";

const SOURCE = 0b01;
const BOTH_SOURCES = 0b11;
const DESTINATIONS = 0;

describe("parseSets", () => {
  it("reads what ipset save prints", () => {
    const sets = parseSets(
      "create a hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x8f4b2c1d\n" +
        'create b hash:net family inet hashsize 1024 maxelem 65536 counters comment\nadd b 10.0.0.0/8 packets 0 bytes 0 comment "all of it"\n',
      "sets",
    );
    expect([...sets.values()].map(({ name, type }) => [name, type])).toEqual([
      ["a", "hash:ip"],
      ["b", "hash:net"],
    ]);
  });

  it.each([
    ["create a bitmap:port range 0-5", 's:1:10: found "bitmap:port", expected a set type'],
    ["create a hash:ip timeout 5", 's:1:18: found "timeout", expected an option of a set that hopscope models'],
    ["create a hash:ip family inet6", 's:1:25: found "inet6", expected inet'],
    ["create a hash:ip\ncreate a hash:ip", 's:2:8: found "a", expected a set that does not exist yet'],
    ["add a 1.1.1.1", 's:1:5: found "a", expected a set that was created above'],
    ["create a hash:ip\nadd a 1.1.1", 's:2:7: found "1.1.1", expected an IPv4 address'],
    ["create a hash:ip\nadd a", "s:2:6: found the end of the line, expected a member"],
    ["create a hash:ip,port\nadd a 1.1.1.1,foo:80", 's:2:15: found "foo", expected a protocol'],
    ["create a hash:ip,port\nadd a 1.1.1.1", 's:2:7: found "1.1.1.1", expected an address and a port'],
    ["create a hash:net\nadd a 0.0.0.0/0", 's:2:7: found "0.0.0.0/0", expected a network'],
    ["destroy a", 's:1:1: found "destroy", expected "create" or "add"'],
  ])("refuses %j", (text, message) => {
    expect(() => parseSets(text, "s")).toThrow(message);
  });
});

describe("a set", () => {
  const test = (text: string, packet = udpPacket(pool), directions = SOURCE): boolean =>
    [...parseSets(text, "s").values()][0]!.test(packet, directions);

  it("of type hash:ip knows addresses, ranges and masked addresses", () => {
    expect(test("create a hash:ip\nadd a 10.0.0.1")).toBe(true);
    expect(test("create a hash:ip\nadd a 10.0.0.1", udpPacket(pool), DESTINATIONS)).toBe(false);
    expect(test("create a hash:ip\nadd a 10.0.0.0-10.0.0.9")).toBe(true);
    expect(test("create a hash:ip netmask 24\nadd a 10.0.0.77")).toBe(true);
    expect(test("create a hash:ip netmask 24\nadd a 10.0.1.77")).toBe(false);
  });

  it("of type hash:net lets the longest prefix decide", () => {
    const text = "create a hash:net\nadd a 10.0.0.0/8\nadd a 10.0.0.0/24 nomatch\nadd a 10.0.0.128/25\n";
    expect(test(text)).toBe(false);
    expect(test(text, udpPacket(pool, { source: "10.0.1.1" }))).toBe(true);
    expect(test(text, udpPacket(pool, { source: "10.0.0.200" }))).toBe(true);
    expect(test(text, udpPacket(pool, { source: "11.0.0.1" }))).toBe(false);
  });

  it("of type hash:ip,port knows protocol and port", () => {
    const text =
      "create a hash:ip,port\nadd a 10.0.0.2,udp:53\nadd a 10.0.0.2,80\nadd a 10.0.0.2,icmp:8/0\nadd a 10.0.0.2,gre:0\n";
    expect(test(text, udpPacket(pool), DESTINATIONS)).toBe(true);
    expect(test(text, tcpPacket(pool), DESTINATIONS)).toBe(true);
    expect(test(text, udpPacket(pool, { destinationPort: 80 }), DESTINATIONS)).toBe(false);
    expect(test(text, udpPacket(pool), BOTH_SOURCES)).toBe(false);
    expect(test(text, icmpPacket(pool), DESTINATIONS)).toBe(true);
    expect(test(text, rawPacket(pool, 47, []), DESTINATIONS)).toBe(true);
    expect(test(text, rawPacket(pool, 17, [0, 53, 0, 53], { fragment: 1 }), DESTINATIONS)).toBe(false);
  });
});
