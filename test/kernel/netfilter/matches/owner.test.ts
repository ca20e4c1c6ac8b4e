import { describe, expect, it } from "vitest";
import { KERNEL_SOCKET, RAW_SOCKET, type SocketOwner } from "../../../../src/kernel/socket-owner.ts";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const OUTPUT = { chain: "OUTPUT" } as const;

const ask = (options: string, socket: SocketOwner | null): boolean => {
  const packet = udpPacket(pool);
  packet.socket = socket;
  return matchOf(`-m owner ${options}`, OUTPUT).matches(packet, contextOf("output"));
};

describe("the match owner", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-m owner --uid-owner root", "-m owner --uid-owner 0"],
        ["-m owner --uid-owner 10-10", "-m owner --uid-owner 10"],
        "-m owner ! --uid-owner 0-10 --gid-owner 5",
        "-m owner --gid-owner 0-10 --suppl-groups",
        "-m owner ! --socket-exists",
      ],
      OUTPUT,
    );
  });

  // Measured on Linux 6.18 for a UDP socket, a raw socket, an echo reply and a REJECT --reject-with tcp-reset.
  it.each<[string, boolean, boolean, boolean]>([
    ["--socket-exists", true, true, false],
    ["! --socket-exists", false, false, true],
    ["--uid-owner 0", true, false, false],
    ["! --uid-owner 0", false, true, true],
    ["--gid-owner 5", false, false, false],
    ["! --gid-owner 5", true, true, true],
    ["--uid-owner 1-7", false, false, false],
    ["! --uid-owner 3 ! --gid-owner 3", true, true, true],
  ])("%s: a program's packet %s, the kernel's %s, one without socket %s", (options, program, kernel, none) => {
    expect(ask(options, RAW_SOCKET)).toBe(program);
    expect(ask(options, KERNEL_SOCKET)).toBe(kernel);
    expect(ask(options, null)).toBe(none);
  });

  it("knows the user and group that a socket names", () => {
    expect(ask("--uid-owner 1337", { uid: 1337, gid: 1337 })).toBe(true);
    expect(ask("--uid-owner 0", { uid: 1337, gid: 1337 })).toBe(false);
    expect(ask("--uid-owner 1337 --gid-owner 0", { uid: 1337 })).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m owner", OUTPUT)).toBe('4 "owner" | -m owner with --uid-owner, --gid-owner or --socket-exists');
    expect(refusal("-m owner --uid-owner nosuch", OUTPUT)).toMatch(/^22 "nosuch" \| a user/);
    expect(refusal("-m owner --uid-owner 10-5", OUTPUT)).toMatch(/^22 "10-5" \| a range/);
    expect(refusal("-m owner --suppl-groups --gid-owner 0-10", OUTPUT)).toMatch(/--gid-owner before --suppl-groups$/);
    expect(refusal("-m owner --uid-owner 0")).toMatch(
      /^4 "owner" \| owner only in chains that are reached from OUTPUT/,
    );
  });
});
