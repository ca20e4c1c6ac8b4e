import { describe, expect, it } from "vitest";
import { NETWORK } from "../../../../src/packet/packet.ts";
import { tcpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const ask = (options: string, words: readonly number[]): boolean =>
  matchOf(`-p tcp -m tcpmss ${options}`).matches(tcpPacket(pool, { options: words }), contextOf());

describe("the match tcpmss", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-p tcp -m tcpmss ! --mss 42",
      ["-p tcp -m tcpmss --mss :42", "-p tcp -m tcpmss --mss 0:42"],
      ["-p tcp -m tcpmss --mss 42:42", "-p tcp -m tcpmss --mss 42"],
    ]);
  });

  it("looks at the option of the segment", () => {
    expect(ask("--mss 1460", [2, 4, 5, 180])).toBe(true);
    expect(ask("--mss 1000:1400", [2, 4, 5, 180])).toBe(false);
    expect(ask("! --mss 1000:1400", [1, 1, 1, 1, 2, 4, 5, 180])).toBe(true);
    expect(ask("--mss 0:65535", [])).toBe(false);
    expect(ask("! --mss 0:65535", [])).toBe(true);
  });

  it("drops a segment that is cut short", () => {
    const context = contextOf();
    const packet = tcpPacket(pool);
    packet.end = NETWORK + 20 + 19;
    expect(matchOf("-p tcp -m tcpmss --mss 1").matches(packet, context)).toBe(false);
    expect(context.hotdrop).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m tcpmss --mss 42")).toMatch(/^4 "tcpmss" \| -p tcp/);
    expect(refusal("-p tcp -m tcpmss --mss 65535:1000")).toMatch(/^24 .* \| a range of sizes/);
    expect(refusal("-p tcp -m tcpmss --mss 42:65536")).toMatch(/^27 "65536"/);
  });
});
