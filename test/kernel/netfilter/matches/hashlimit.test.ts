import { describe, expect, it } from "vitest";
import { rawPacket, udpPacket } from "../../../frames.ts";
import { attached, expectCanonical, pool, refusal } from "../one-rule.ts";

const hashlimit = (options: string): string => `-m hashlimit ${options}`;

describe("the match hashlimit", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        hashlimit("--hashlimit 3 --hashlimit-name a"),
        hashlimit("--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-name a"),
      ],
      [
        hashlimit("! --hashlimit-upto 60/min --hashlimit-name a"),
        hashlimit("--hashlimit-above 1/sec --hashlimit-burst 5 --hashlimit-name a --hashlimit-htable-expire 60000"),
      ],
      [
        hashlimit("--hashlimit-above 3/sec --hashlimit-name a --hashlimit-mode dstport,dstip,srcport,srcip"),
        hashlimit(
          "--hashlimit-above 3/sec --hashlimit-burst 5 --hashlimit-mode srcip,srcport,dstip,dstport --hashlimit-name a",
        ),
      ],
      hashlimit("--hashlimit-above 7777/min --hashlimit-burst 5 --hashlimit-name a"),
      [
        hashlimit("--hashlimit-above 24/day --hashlimit-name a"),
        hashlimit("--hashlimit-above 1/hour --hashlimit-burst 5 --hashlimit-name a --hashlimit-htable-expire 86400000"),
      ],
      hashlimit(
        "--hashlimit-upto 3/hour --hashlimit-burst 5 --hashlimit-name a --hashlimit-htable-size 9 --hashlimit-htable-max 20 --hashlimit-htable-gcinterval 60000 --hashlimit-htable-expire 10000",
      ),
      hashlimit(
        "--hashlimit-upto 3/sec --hashlimit-burst 5 --hashlimit-mode srcip,dstip --hashlimit-name a --hashlimit-srcmask 24 --hashlimit-dstmask 16",
      ),
      [
        hashlimit("--hashlimit-upto 1024kb/s --hashlimit-name a"),
        hashlimit("--hashlimit-upto 1mb/s --hashlimit-name a"),
      ],
      [
        hashlimit("--hashlimit-upto 1kb/s --hashlimit-burst 5000b --hashlimit-name a"),
        hashlimit("--hashlimit-upto 1kb/s --hashlimit-burst 5kb --hashlimit-name a"),
      ],
      hashlimit("--hashlimit-upto 123456b/s --hashlimit-burst 1mb --hashlimit-name a"),
      hashlimit("--hashlimit-upto 40mb/s --hashlimit-name a --hashlimit-rate-match --hashlimit-rate-interval 10"),
    ]);
  });

  it("grants each flow a burst and then the rate", () => {
    const { ask } = attached([
      hashlimit("--hashlimit-upto 2/sec --hashlimit-burst 2 --hashlimit-mode srcip,srcport --hashlimit-name a"),
      hashlimit("--hashlimit-above 2/sec --hashlimit-burst 2 --hashlimit-mode srcip,srcport --hashlimit-name b"),
    ]);
    const one = udpPacket(pool, { sourcePort: 1 });
    const other = udpPacket(pool, { sourcePort: 2 });
    expect([ask(one), ask(one), ask(one), ask(other)]).toEqual([
      [true, false],
      [true, false],
      [false, true],
      [true, false],
    ]);
    expect(ask(one, 0.499)).toEqual([false, true]);
    expect(ask(one, 0.5)).toEqual([true, false]);
    expect(ask(one, 0.5)).toEqual([false, true]);
  });

  // Measured on Linux 6.18: 64 bits of credits hold a day and a half.
  it("overflows as the kernel's credits do", () => {
    const daily = (burst: number) =>
      hashlimit(`--hashlimit-upto 1/day --hashlimit-burst ${burst} --hashlimit-mode srcip --hashlimit-name a`);
    const { ask } = attached([daily(3)]);
    expect([1, 2, 3].map(() => ask(udpPacket(pool)))).toEqual([[true], [false], [false]]);
    expect(refusal(daily(2))).toContain("a burst that takes less time to save up");
  });

  it("counts networks together, and rules of one name too", () => {
    const rule = hashlimit(
      "--hashlimit-upto 1/hour --hashlimit-burst 3 --hashlimit-mode dstip --hashlimit-dstmask 16 --hashlimit-name a",
    );
    const { ask } = attached([rule, rule]);
    expect(ask(udpPacket(pool, { destination: "10.1.0.1" }))).toEqual([true, true]);
    expect(ask(udpPacket(pool, { destination: "10.1.9.9" }))).toEqual([true, false]);
    expect(ask(udpPacket(pool, { destination: "10.2.0.1" }))).toEqual([true, true]);
  });

  it("drops a packet without ports where they count and one that finds the table full", () => {
    const ports = attached([hashlimit("--hashlimit-upto 1/hour --hashlimit-mode srcport --hashlimit-name a")]);
    expect(ports.ask(rawPacket(pool, 6, [1, 2, 3]))).toEqual([false]);
    expect(ports.context.hotdrop).toBe(true);
    const small = attached([
      hashlimit(
        "--hashlimit-upto 1/hour --hashlimit-mode dstip --hashlimit-name a --hashlimit-htable-size 1 --hashlimit-htable-max 2 --hashlimit-htable-expire 1000",
      ),
    ]);
    for (const destination of ["10.0.0.1", "10.0.0.2"])
      expect(small.ask(udpPacket(pool, { destination }))).toEqual([true]);
    expect(small.ask(udpPacket(pool, { destination: "10.0.0.3" }))).toEqual([false]);
    expect(small.context.hotdrop).toBe(true);
    small.context.hotdrop = false;
    expect(small.ask(udpPacket(pool, { destination: "10.0.0.3" }), 1)).toEqual([true]);
  });

  it("forgets silent flows when it cleans up", () => {
    const { ask } = attached([
      hashlimit(
        "--hashlimit-upto 1/day --hashlimit-burst 1 --hashlimit-name a --hashlimit-htable-expire 1500 --hashlimit-htable-gcinterval 1000",
      ),
    ]);
    const packet = udpPacket(pool);
    expect([ask(packet, 0), ask(packet, 0.1), ask(packet, 1.5), ask(packet, 3.9), ask(packet, 4)]).toEqual([
      [true],
      [false],
      [false],
      [true],
      [false],
    ]);
  });

  // Measured on Linux 6.18: 16 packets of 328 bytes at once.
  it("counts bytes, with bursts of whole seconds, and whole spans", () => {
    const { ask } = attached([
      hashlimit("--hashlimit-upto 1kb/s --hashlimit-name a"),
      hashlimit("--hashlimit-upto 1kb/s --hashlimit-burst 3kb --hashlimit-name b"),
      hashlimit("--hashlimit-above 2/sec --hashlimit-burst 1 --hashlimit-rate-match --hashlimit-name c"),
      hashlimit("--hashlimit-upto 1kb/s --hashlimit-rate-match --hashlimit-name d"),
    ]);
    const packet = udpPacket(pool, {}, new Array(300).fill(0));
    const answers = Array.from({ length: 16 }, () => ask(packet));
    const line = (rule: number): string => answers.map((answer) => (answer[rule] ? "x" : ".")).join("");
    expect([line(0), line(1), line(2), line(3)]).toEqual([
      "xxx.............",
      "xxxxxxxxxxxx....",
      "...xxxxxxxxxxxxx",
      "xxx.............",
    ]);
    expect(ask(packet, 1)).toEqual([true, true, false, false]);
    expect(ask(packet, 3)).toEqual([true, true, false, true]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal(hashlimit("--hashlimit-upto 1/sec"))).toBe('4 "hashlimit" | -m hashlimit with --hashlimit-name');
    expect(refusal(hashlimit("--hashlimit-name a"))).toMatch(/with --hashlimit-upto or --hashlimit-above$/);
    expect(refusal(hashlimit("--hashlimit-upto 1000001/sec --hashlimit-name a"))).toMatch(
      / \| a rate of at most 1000000\/second$/,
    );
    expect(refusal(hashlimit("--hashlimit-upto 1/sec --hashlimit-burst 0 --hashlimit-name a"))).toMatch(
      / \| a number of packets/,
    );
    expect(refusal(hashlimit("--hashlimit-upto 4kb/s --hashlimit-burst 5b --hashlimit-name a"))).toMatch(
      / \| a number of bytes \(4096-/,
    );
    expect(refusal(hashlimit("--hashlimit-upto 1/sec --hashlimit-mode foo --hashlimit-name a"))).toMatch(
      /^54 "foo" \| one of srcip/,
    );
    expect(refusal(hashlimit("--hashlimit-upto 1/sec --hashlimit-name a/b"))).toMatch(/^54 "a\/b" \| a name/);
    expect(refusal(hashlimit("--hashlimit-upto 1/sec --hashlimit-name a --hashlimit-srcmask 33"))).toMatch(
      / "33" \| a prefix length/,
    );
  });
});
