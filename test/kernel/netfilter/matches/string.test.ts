import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

/** The data begins 28 bytes behind the start of the IPv4 header. */
const find = (options: string, text: string): boolean => {
  const data = [...text].map((character) => character.charCodeAt(0));
  return matchOf(`-m string ${options}`).matches(udpPacket(pool, {}, data), contextOf());
};

describe("the match string", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m string --algo bm --string abc", '-m string --string "abc" --algo bm'],
      ["-m string --string a'b --algo bm", '-m string --string "a\'b" --algo bm'],
      ['-m string --hex-string "ab|20 63|d" --algo bm', '-m string --string "ab cd" --algo bm'],
      '-m string --hex-string "|00|" --algo kmp --icase',
      '-m string ! --hex-string "|7f|" --algo kmp',
      '-m string --string "a\\"b" --algo bm',
      '-m string --string "abc" --algo kmp --from 10 --to 20',
      ['-m string --string "tab\tx" --algo bm', '-m string --hex-string "|7461620978|" --algo bm'],
      ['-m string --hex-string "a\\\\|b" --algo kmp', '-m string --string "a|b" --algo kmp'],
    ]);
  });

  // Measured on Linux 6.18.
  it.each([
    ['--string "abc" --algo bm', "abc", true],
    ['--string "abc" --algo bm', "xxabcxx", true],
    ['--string "abc" --algo bm', "ab", false],
    ['--string "abc" --algo kmp', "abC", false],
    ['--string "ABC" --algo kmp --icase', "xabc", true],
    ['! --string "abc" --algo bm', "ab", true],
    ['! --string "abc" --algo bm', "abc", false],
    ['--string "abcabcd" --algo kmp', "abcabcabcd", true],
    ['--string "abc" --algo bm --from 28', "abc", true],
    ['--string "abc" --algo bm --from 29', "abc", false],
    ['--string "abc" --algo kmp --to 31', "abc", true],
    ['--string "abc" --algo bm --to 30', "abc", false],
    ['--hex-string "|00 0a|" --algo bm', "a\0\n", true],
  ])("%s in %j is %s", (options, text, expected) => {
    expect(find(options, text)).toBe(expected);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m string --string abc")).toBe('4 "string" | -m string with --algo');
    expect(refusal("-m string --algo bm")).toBe('4 "string" | -m string with --string or --hex-string');
    expect(refusal("-m string --string abc --algo fsm")).toBe('31 "fsm" | bm or kmp');
    expect(refusal(`-m string --algo bm --string ${"x".repeat(129)}`)).toMatch(/ \| a pattern of 1 to 128 bytes$/);
    expect(refusal('-m string --algo bm --hex-string "|0|"')).toMatch(/ \| pairs of hexadecimal digits/);
    expect(refusal('-m string --algo bm --hex-string "|61"')).toMatch(/ \| pairs of hexadecimal digits/);
    expect(refusal("-m string --string a --algo bm --from 20 --to 10")).toBe('47 "10" | no --to before --from');
    expect(refusal("-m string --string a --algo bm --to 65536")).toBe('37 "65536" | an offset in bytes (0-65535)');
  });
});
