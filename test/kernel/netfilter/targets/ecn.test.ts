import { describe, expect, it } from "vitest";
import * as tcp from "../../../../src/wire/tcp.ts";
import { bytesOf, isIntact, rawPacket, TRANSPORT, tcpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "FORWARD" } as const;
const target = () => targetOf("-p tcp -j ECN --ecn-tcp-remove", MANGLE);

describe("the target ECN", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(["-p tcp -j ECN --ecn-tcp-remove"], MANGLE);
  });

  it("takes ECE and CWR from a segment and mends its checksum", () => {
    const packet = tcpPacket(pool, { flags: tcp.SYN | tcp.ECE | tcp.CWR });
    const before = bytesOf(packet);
    expect(target().apply(packet, contextOf("forward"))).toBe("CONTINUE");
    expect(tcp.flags(packet.view, TRANSPORT)).toBe(tcp.SYN);
    expect(isIntact(packet)).toBe(true);
    const changed = [...bytesOf(packet)].flatMap((byte, i) => (byte === before[i] ? [] : [i - 34]));
    expect(changed).toEqual([13, 16, 17]);
  });

  it("leaves other segments alone and drops one that is cut short", () => {
    const packet = tcpPacket(pool);
    const before = bytesOf(packet);
    target().apply(packet, contextOf("forward"));
    expect(bytesOf(packet)).toEqual(before);
    expect(target().apply(rawPacket(pool, 6, [1, 2, 3]), contextOf("forward"))).toBe("DROP");
  });

  it("refuses what iptables refuses and what is not modelled", () => {
    expect(refusal("-p tcp -j ECN", MANGLE)).toBe('11 "ECN" | -j ECN with --ecn-tcp-remove');
    expect(refusal("-j ECN --ecn-tcp-remove", MANGLE)).toMatch(/^4 "ECN" \| ECN --ecn-tcp-remove only/);
    expect(refusal("-p tcp -j ECN --ecn-ip-ect 1", MANGLE)).toMatch(
      /^15 "--ecn-ip-ect" \| .*does not model this one yet$/,
    );
  });
});
