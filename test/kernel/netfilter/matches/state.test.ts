import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match state", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        "-m state --state NEW,RELATED,ESTABLISHED,INVALID,UNTRACKED",
        "-m state --state INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED",
      ],
      "-m state ! --state NEW",
    ]);
  });

  it("looks at the state of the packet's connection", () => {
    const packet = udpPacket(pool);
    packet.connection = flow();
    packet.connectionState = "RELATED_REPLY";
    expect(matchOf("-m state --state RELATED").matches(packet, contextOf())).toBe(true);
    expect(matchOf("-m state --state ESTABLISHED").matches(packet, contextOf())).toBe(false);
    expect(matchOf("-m state ! --state ESTABLISHED").matches(packet, contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m state")).toBe('4 "state" | -m state with --state');
    expect(refusal("-m state --state NEW,SNAT")).toBe(
      '22 "SNAT" | a connection state (INVALID, NEW, RELATED, ESTABLISHED, UNTRACKED)',
    );
  });
});
