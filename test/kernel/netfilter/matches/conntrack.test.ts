import { describe, expect, it } from "vitest";
import type { ConnectionState, Packet } from "../../../../src/packet/packet.ts";
import { tcpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, matchOf, pool, refusal } from "../one-rule.ts";

function packetOf(state: ConnectionState, connection = flow()): Packet {
  const packet = tcpPacket(pool);
  packet.connectionState = state;
  packet.connection = state === "NONE" || state === "INVALID" || state === "UNTRACKED" ? null : connection;
  return packet;
}

const matches = (options: string, packet: Packet, now = 0): boolean =>
  matchOf(`-m conntrack ${options}`).matches(
    packet,
    contextOf("input", { fabric: { trace: null, scheduler: { now } } }),
  );

describe("the match conntrack", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        "-m conntrack --ctstate DNAT,SNAT,NEW,RELATED,ESTABLISHED,INVALID,UNTRACKED",
        "-m conntrack --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT",
      ],
      ["-m conntrack --ctstate established", "-m conntrack --ctstate ESTABLISHED"],
      ["-m conntrack --ctproto udp --ctstate NEW", "-m conntrack --ctstate NEW --ctproto 17"],
      ["-m conntrack --ctstatus CONFIRMED,ASSURED", "-m conntrack --ctstatus ASSURED,CONFIRMED"],
      ["-m conntrack --ctrepldst 2.2.2.2/255.0.0.0", "-m conntrack --ctrepldst 2.2.2.2/8"],
      ["-m conntrack --ctdir original", "-m conntrack --ctdir ORIGINAL"],
      ["-m conntrack --ctexpire 5:", "-m conntrack --ctexpire 5:4294967295"],
      ["-m conntrack --ctorigdstport http", "-m conntrack --ctorigdstport 80"],
      "-m conntrack --ctproto 17 --ctorigsrc 1.2.3.0/24 ! --ctorigdst 1.2.3.4 --ctreplsrc 1.1.1.1 --ctrepldst 2.2.2.2 --ctorigsrcport 1:4 --ctorigdstport 5 --ctreplsrcport 6 ! --ctrepldstport 8 --ctstatus EXPECTED,SEEN_REPLY,ASSURED,CONFIRMED --ctexpire 4:8 --ctdir REPLY",
      "-m conntrack ! --ctstatus NONE",
    ]);
  });

  it.each<[ConnectionState, string, string]>([
    ["NEW", "NEW", "ESTABLISHED"],
    ["ESTABLISHED", "ESTABLISHED", "NEW,RELATED"],
    ["ESTABLISHED_REPLY", "ESTABLISHED", "NEW"],
    ["RELATED", "RELATED", "ESTABLISHED"],
    ["RELATED_REPLY", "RELATED", "NEW"],
    ["INVALID", "INVALID", "NEW"],
    ["UNTRACKED", "UNTRACKED", "INVALID"],
    ["NONE", "INVALID", "UNTRACKED"],
  ])("knows the state of a packet that is %s", (state, hit, miss) => {
    const packet = packetOf(state);
    expect(matches(`--ctstate ${hit}`, packet)).toBe(true);
    expect(matches(`--ctstate ${miss}`, packet)).toBe(false);
    expect(matches(`! --ctstate ${miss}`, packet)).toBe(true);
  });

  it("knows which addresses NAT changed", () => {
    const connection = flow();
    connection.destinationNat = true;
    expect(matches("--ctstate DNAT", packetOf("NEW", connection))).toBe(true);
    expect(matches("--ctstate SNAT", packetOf("NEW", connection))).toBe(false);
    expect(matches("--ctstate DNAT", packetOf("NEW"))).toBe(false);
  });

  it.each([
    ["--ctproto 6", true],
    ["--ctproto udp", false],
    ["--ctorigsrc 10.0.0.0/24", true],
    ["! --ctorigsrc 10.0.0.1", false],
    ["--ctorigdst 10.0.0.2", true],
    ["--ctreplsrc 10.0.0.2", true],
    ["--ctrepldst 10.0.0.2", false],
    ["--ctorigsrcport 5000", true],
    ["--ctorigdstport 80:90", true],
    ["! --ctorigdstport 80:90", false],
    ["--ctreplsrcport 80", true],
    ["--ctrepldstport 80", false],
    ["--ctdir REPLY", true],
    ["--ctdir ORIGINAL", false],
    ["--ctstatus SEEN_REPLY", true],
    ["--ctstatus ASSURED,EXPECTED", false],
    ["! --ctstatus ASSURED", true],
    ["--ctstatus NONE", false],
    ["--ctexpire 10", true],
    ["--ctexpire 11:20", false],
    ["--ctproto 6 --ctorigsrc 10.0.0.1 --ctdir REPLY --ctstate ESTABLISHED", true],
  ])("looks at the connection: %s", (options, expected) => {
    const connection = flow();
    connection.seenReply = true;
    connection.confirmed = true;
    connection.expires = 15_900_000_000;
    expect(matches(options, packetOf("ESTABLISHED_REPLY", connection), 5_000_000_000)).toBe(expected);
  });

  it("does not match a packet without connection unless a state is asked for", () => {
    expect(matches("--ctproto 6", packetOf("INVALID"))).toBe(false);
    expect(matches("! --ctproto 6", packetOf("INVALID"))).toBe(false);
    expect(matches("--ctstate INVALID --ctproto 6", packetOf("INVALID"))).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m conntrack")).toBe('4 "conntrack" | -m conntrack with at least one option');
    expect(refusal("-m conntrack --ctstate NEW,wrong")).toMatch(/^28 "wrong" \| a connection state \(INVALID, NEW/);
    expect(refusal("-m conntrack --ctstate NEW,")).toMatch(/^28 "" \| a connection state/);
    expect(refusal("-m conntrack --ctstatus DYING")).toMatch(/^25 "DYING" \| a connection status/);
    expect(refusal("-m conntrack ! --ctdir REPLY")).toBe('16 "--ctdir" | an option that can be inverted');
    expect(refusal("-m conntrack --ctexpire -1")).toBe('25 "-1" | a time in seconds (0-4294967295)');
    expect(refusal("-m conntrack --ctorigsrcport 4:3")).toMatch(/^30 "4:3"/);
  });
});
