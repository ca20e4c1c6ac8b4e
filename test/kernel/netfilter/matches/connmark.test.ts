import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, matchOf, pool } from "../one-rule.ts";

describe("the match connmark", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m connmark --mark 5", "-m connmark --mark 0x5"],
      ["-m connmark ! --mark 10/16", "-m connmark ! --mark 0xa/0x10"],
      ["-m connmark --mark 0/0xffffffff", "-m connmark --mark 0x0"],
    ]);
  });

  it("compares the connection's mark and never matches without a connection", () => {
    const packet = udpPacket(pool);
    packet.mark = 0x15;
    const hit = matchOf("-m connmark --mark 0x5/0xf");
    const inverted = matchOf("-m connmark ! --mark 0x6");
    expect(hit.matches(packet, contextOf())).toBe(false);
    expect(inverted.matches(packet, contextOf())).toBe(false);
    const connection = flow();
    connection.mark = 0x15;
    packet.connection = connection;
    expect(hit.matches(packet, contextOf())).toBe(true);
    expect(inverted.matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m connmark --mark 0x5").matches(packet, contextOf())).toBe(false);
  });
});
