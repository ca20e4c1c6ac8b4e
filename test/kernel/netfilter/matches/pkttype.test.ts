import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match pkttype", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-m pkttype --pkt-type unicast",
      ["-m pkttype ! --pkt-type BROADCAST", "-m pkttype ! --pkt-type broadcast"],
      ["-m pkttype --pkt-type host", "-m pkttype --pkt-type unicast"],
      ["-m pkttype --pkt-type mcast", "-m pkttype --pkt-type multicast"],
      "-m pkttype --pkt-type otherhost",
    ]);
  });

  it("looks at whom the frame was for", () => {
    const packet = udpPacket(pool);
    expect(matchOf("-m pkttype --pkt-type unicast").matches(packet, contextOf())).toBe(true);
    packet.type = "multicast";
    expect(matchOf("-m pkttype --pkt-type unicast").matches(packet, contextOf())).toBe(false);
    expect(matchOf("-m pkttype ! --pkt-type unicast").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m pkttype --pkt-type mcast").matches(packet, contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m pkttype --pkt-type wrong")).toMatch(/^23 "wrong" \| a packet type/);
    expect(refusal("-m pkttype")).toBe('4 "pkttype" | -m pkttype with --pkt-type');
  });
});
