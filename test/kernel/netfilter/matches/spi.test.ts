import { describe, expect, it } from "vitest";
import { rawPacket } from "../../../frames.ts";
import { canonical, contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

/** Each with its protocol's number and a header whose SPI is 5. */
const KINDS = [
  ["ah", 51, [6, 4, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1]],
  ["esp", 50, [0, 0, 0, 5, 0, 0, 0, 1]],
  ["ipcomp", 108, [6, 0, 0, 5]],
] as const;

describe.each(KINDS)("the match %s", (name, protocol, header) => {
  const rule = (options: string) => `-p ${name} -m ${name}${options}`;
  const asks = (options: string) => matchOf(rule(options)).matches(rawPacket(pool, protocol, header), contextOf());

  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      rule(` --${name}spi 0`),
      rule(` ! --${name}spi 0:4294967295`),
      [rule(` --${name}spi 4:`), rule(` --${name}spi 4:4294967295`)],
      [rule(` --${name}spi 0x10`), rule(` --${name}spi 16`)],
    ]);
    expect(canonical(rule(` --${name}spi :`))).toBe(rule(""));
  });

  it("compares the SPI", () => {
    expect(asks(` --${name}spi 5`)).toBe(true);
    expect(asks(` ! --${name}spi 5`)).toBe(false);
    expect(asks(` --${name}spi 6:9`)).toBe(false);
    expect(asks(` --${name}spi 0:9`)).toBe(true);
  });

  it("drops what is cut short, and passes over later fragments", () => {
    const context = contextOf();
    const match = matchOf(rule(` --${name}spi 5`));
    expect(match.matches(rawPacket(pool, protocol, header, { fragment: 1 }), context)).toBe(false);
    expect(context.hotdrop).toBe(false);
    expect(match.matches(rawPacket(pool, protocol, header.slice(0, -1)), context)).toBe(false);
    expect(context.hotdrop).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal(`-m ${name}`)).toBe(`4 "${name}" | -p ${name} in a rule with the match ${name}`);
    expect(refusal(rule(` --${name}spi 4294967296`))).toMatch(/"4294967296" \| an SPI \(0-4294967295\)$/);
    expect(refusal(rule(` --${name}spi 4:3`))).toMatch(/"4:3" \| a range of SPIs/);
  });
});

describe("the match ipcomp", () => {
  it("asks for 0 where the rule names no CPI", () => {
    expectCanonical([
      ["-p ipcomp -m ipcomp", "-p ipcomp -m ipcomp --ipcompspi 0"],
      "-p ipcomp -m ipcomp --ipcompspi 1 --compres",
    ]);
    const asks = (cpi: number) =>
      matchOf("-p ipcomp -m ipcomp").matches(rawPacket(pool, 108, [6, 0, 0, cpi]), contextOf());
    expect([asks(0), asks(1)]).toEqual([true, false]);
  });
});
