import { expect, it } from "vitest";
import { parseShellLine, ShellError } from "../../src/scenario/shell-line.ts";

const parse = (line: string) => parseShellLine(line, (inner) => `<${inner}>`);

it("parts commands, filters and words", () => {
  expect(parse("ip addr | grep 'a b' | head -1; ping -c 1 x &").map(({ words, filters }) => [words, filters])).toEqual([
    [
      ["ip", "addr"],
      [
        ["grep", "a b"],
        ["head", "-1"],
      ],
    ],
    [["ping", "-c", "1", "x"], []],
  ]);
  expect(parse("a & b").map(({ background }) => background)).toEqual([true, false]);
});

it("knows which commands depend on the one before", () => {
  expect(parse("a && b || c; d").map(({ when }) => when)).toEqual(["always", "success", "failure", "always"]);
});

it("puts what a command in backquotes or $( ) prints in its place", () => {
  expect(parse("ping `hostname` $(cat x)")[0]!.words).toEqual(["ping", "<hostname>", "<cat x>"]);
});

it("throws output away, and merges errors into it", () => {
  const shape = (line: string) =>
    parse(line).map(({ words, discards, mergesErrors }) => [words, discards, mergesErrors]);
  expect(shape("ip a > /dev/null")).toEqual([[["ip", "a"], ["out"], false]]);
  expect(shape("ip a 2>/dev/null")).toEqual([[["ip", "a"], ["err"], false]]);
  expect(shape("ip a &> /dev/null")).toEqual([[["ip", "a"], ["out", "err"], false]]);
  expect(shape("ip a 2>&1 | grep x")).toEqual([[["ip", "a"], [], true]]);
});

it("takes sudo off, for everybody is root", () => {
  expect(parse("sudo -E iptables -L")[0]!.words).toEqual(["iptables", "-L"]);
  expect(parse("sudo")).toEqual([]);
});

it("leaves comments and empty lines", () => {
  expect([parse(""), parse("   "), parse("# nothing"), parse(";;")]).toEqual([[], [], [], []]);
});

it.each([
  ['echo "a', 'a closing " is missing'],
  ["echo `a", "a closing ` is missing"],
  ["echo $(a", "a closing ) is missing"],
  ["| grep x", "a command is missing before or after |"],
  ["ip a |", "a command is missing before or after |"],
  ["&& a", "a command is missing before &&"],
  ["a ||", "a command is missing after && or ||"],
  ["a > file", '">file" is not understood here: no files are written or read'],
  ["a < file", '"<file" is not understood here'],
  ["cat << EOF", '"<<EOF" is not understood here'],
])("refuses %s: %s", (line, message) => {
  expect(() => parse(line)).toThrow(ShellError);
  expect(() => parse(line)).toThrow(message);
});
