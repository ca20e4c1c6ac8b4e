import { describe, expect, it } from "vitest";
import { part, quote, splitList, tokenize } from "../../../src/kernel/netfilter/tokenizer.ts";
import { InputError } from "../../../src/wire/input-error.ts";

const words = (text: string): string[] => tokenize(text, "f", 1).map((token) => token.text);

describe("the tokenizer", () => {
  it("parts words by blanks and tabs and counts columns from one", () => {
    expect(tokenize("-A  INPUT\t-j ACCEPT", "f", 7).map(({ text, line, column }) => [text, line, column])).toEqual([
      ["-A", 7, 1],
      ["INPUT", 7, 5],
      ["-j", 7, 11],
      ["ACCEPT", 7, 14],
    ]);
  });

  it("keeps quoted blanks together and takes what follows a backslash inside quotes as it is", () => {
    expect(words('"a b" "c \\" d" "\\\\" ""')).toEqual(["a b", 'c " d', "\\", ""]);
  });

  it("takes a backslash outside quotes for itself", () => {
    expect(words("a\\b")).toEqual(["a\\b"]);
  });

  it("refuses quotes that do not close", () => {
    expect(() => tokenize('x "abc', "f", 3)).toThrow(InputError);
    expect(() => tokenize('x "abc', "f", 3)).toThrow('f:3:3: found ""abc", expected a closing "');
  });

  it("knows where a part of a word stands", () => {
    const [token] = tokenize("  10.0.0.0/8,1.1.1.1", "f", 1);
    expect(part(token!, 9).column).toBe(12);
    expect(splitList(token!).map(({ text, column }) => [text, column])).toEqual([
      ["10.0.0.0/8", 3],
      ["1.1.1.1", 14],
    ]);
  });

  it("quotes all but the plainest words, as iptables-save does", () => {
    expect(["a", "a-b_C9", "", "a b", "a.b", 'a"b', "a'b", "a\\b", "!"].map(quote)).toEqual([
      "a",
      "a-b_C9",
      '""',
      '"a b"',
      '"a.b"',
      '"a\\"b"',
      '"a\\\'b"',
      '"a\\\\b"',
      '"!"',
    ]);
  });
});
