import { describe, expect, it } from "vitest";
import { rawPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const DCCP = 33;
/** From port 5 to port 80; `words` is the length of the header that it tells. */
const packet = (type: number, words: number, rest: readonly number[] = []) =>
  rawPacket(pool, DCCP, [0, 5, 0, 80, words, 0, 0, 0, type << 1, 0, 0, 1, ...rest]);
const DATA = 2;
const ACK = 3;
const NUMBERS = [0, 0, 0, 0, 0, 0, 0, 1];

describe("the match dccp", () => {
  const asks = (rule: string, ...of: Parameters<typeof packet>) =>
    matchOf(`-p dccp -m dccp ${rule}`).matches(packet(...of), contextOf());

  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-p dccp -m dccp",
      ["-p dccp --sport ssh ! --dport 4:", "-p dccp -m dccp --sport 22 ! --dport 4:65535"],
      ["-p dccp --dccp-types sync,request", "-p dccp -m dccp --dccp-types REQUEST,SYNC"],
      ["-p dccp ! --dccp-option 0x10", "-p dccp -m dccp ! --dccp-option 16"],
    ]);
  });

  it("compares ports", () => {
    expect(asks("--sport 5 --dport 80", DATA, 3)).toBe(true);
    expect(asks("--sport 5 ! --dport 80", DATA, 3)).toBe(false);
  });

  it("compares the type; INVALID is every number without a name", () => {
    expect(asks("--dccp-types DATA,ACK", DATA, 3)).toBe(true);
    expect(asks("! --dccp-types DATA,ACK", DATA, 3)).toBe(false);
    expect([9, 10, 13, 15].map((type) => asks("--dccp-types INVALID", type, 3))).toEqual([false, true, true, true]);
  });

  it("looks for an option behind what its type brings along", () => {
    expect(asks("--dccp-option 44", DATA, 4, [0, 44, 3, 0])).toBe(true);
    expect(asks("--dccp-option 44", DATA, 4, [5, 3, 44, 0])).toBe(false);
    expect(asks("! --dccp-option 44", ACK, 5, NUMBERS)).toBe(true);
    expect(asks("--dccp-option 44", ACK, 6, [...NUMBERS, 44, 2, 0, 0])).toBe(true);
  });

  it("drops what is cut short", () => {
    const context = contextOf();
    const match = matchOf("-p dccp -m dccp --dccp-option 44");
    for (const short of [packet(ACK, 3), packet(DATA, 4, [44]), rawPacket(pool, DCCP, [0, 5])]) {
      match.matches(short, context);
      expect(context.hotdrop).toBe(true);
      context.hotdrop = false;
    }
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m dccp")).toBe('4 "dccp" | -p dccp in a rule with the match dccp');
    expect(refusal("-p dccp --dccp-types DATA,FOO")).toMatch(/^27 "FOO" \| a DCCP type/);
    expect(refusal("-p dccp --dccp-option 0")).toBe('23 "0" | a DCCP option (1-255)');
  });
});
