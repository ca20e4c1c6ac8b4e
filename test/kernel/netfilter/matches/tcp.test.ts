import { describe, expect, it } from "vitest";
import { NETWORK } from "../../../../src/packet/packet.ts";
import * as tcp from "../../../../src/wire/tcp.ts";
import { rawPacket, tcpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match tcp", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-p tcp --dport 80", "-p tcp -m tcp --dport 80"],
      [
        "-p tcp ! --sport 10:20 --tcp-option 4 ! --syn",
        "-p tcp -m tcp ! --sport 10:20 --tcp-option 4 ! --tcp-flags FIN,SYN,RST,ACK SYN",
      ],
      ["-p tcp --sport :4 --dport 4:", "-p tcp -m tcp --sport 0:4 --dport 4:65535"],
      ["-p tcp --dport : ", "-p tcp -m tcp"],
      ["-p tcp --source-port ssh:80", "-p tcp -m tcp --sport 22:80"],
      ["-p tcp --tcp-flags ALL NONE", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE"],
      ["-p tcp --tcp-flags NONE NONE", "-p tcp -m tcp"],
      ["-p tcp --tcp-flags syn ack", "-p tcp -m tcp --tcp-flags SYN ACK"],
    ]);
  });

  it.each([
    ["--dport 80", true],
    ["--dport 81", false],
    ["! --dport 80", false],
    ["--sport 5000:5010", true],
    ["! --sport 5000:5010", false],
    ["--syn", true],
    ["! --syn", false],
    ["--tcp-flags SYN,ACK SYN,ACK", false],
    ["--tcp-option 2", true],
    ["! --tcp-option 2", false],
    ["--tcp-option 8", false],
    ["! --tcp-option 8", true],
  ])("looks at the segment: %s", (options, expected) => {
    const packet = tcpPacket(pool, { options: [1, 1, 2, 4, 5, 180, 1, 0] });
    const context = contextOf();
    expect(matchOf(`-p tcp ${options}`).matches(packet, context)).toBe(expected);
    expect(context.hotdrop).toBe(false);
  });

  it("takes a SYN/ACK for no --syn", () => {
    expect(matchOf("-p tcp --syn").matches(tcpPacket(pool, { flags: tcp.SYN | tcp.ACK }), contextOf())).toBe(false);
  });

  const cut = (bytes: number) => {
    const packet = tcpPacket(pool);
    packet.end = NETWORK + 20 + bytes;
    return packet;
  };
  const ask = (options: string, packet = cut(20)): string => {
    const context = contextOf();
    const found = matchOf(`-p tcp -m tcp ${options}`).matches(packet, context);
    return context.hotdrop ? "drop" : found ? "match" : "no";
  };

  // Measured on Linux 6.18 with iptables-nft 1.8.9: ports and flags are loads of bytes.
  it.each([
    ["--sport 5000", 2],
    ["! --sport 1", 2],
    ["--dport 80", 4],
    ["! --dport 81", 4],
    ["--dport 70:90", 4],
    ["! --dport 81:90", 4],
    ["--sport 5000 --dport 80", 4],
    ["--tcp-flags SYN SYN", 14],
    ["! --tcp-flags RST RST", 14],
  ])("looks only at the bytes that it needs: %s", (options, bytes) => {
    expect(ask(options, cut(bytes))).toBe("match");
    expect(ask(options, cut(bytes - 1))).toBe("no");
  });

  it.each(["--dport 80", "! --dport 81", "! --sport 7"])("takes later fragments as they come: %s", (options) => {
    const bytes = [0, 9, 0, 80, ...new Array(16).fill(0)];
    for (const fragment of [1, 2, 0x2001])
      expect(ask(options, rawPacket(pool, 6, bytes, { fragment })), `${fragment}`).toBe("match");
  });

  it.each(["", "--sport 0:65535", "! --tcp-option 5"])(
    "is the whole module with %j, which drops what is cut short",
    (options) => {
      expect(ask(options)).toBe("match");
      expect(ask(options, cut(19))).toBe("drop");
      expect(ask(options, rawPacket(pool, 6, new Array(20).fill(0), { fragment: 2 }))).toBe("no");
      expect(ask(options, rawPacket(pool, 6, new Array(20).fill(0), { fragment: 1 }))).toBe("drop");
    },
  );

  it("asks nothing with all ports inverted", () => {
    expect(ask("! --sport 0:65535", cut(0))).toBe("match");
  });

  it("finds the segment behind IPv4 options", () => {
    const packet = rawPacket(pool, 6, [1, 1, 1, 0, 0, 9, 0, 80, ...new Array(16).fill(0)]);
    packet.view.setUint8(NETWORK, 0x46);
    expect(matchOf("-p tcp --sport 9 --dport 80").matches(packet, contextOf())).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-p tcp --sport 4:3")).toBe('16 "4:3" | a port range whose first port is not above its last');
    expect(refusal("-p tcp --sport 65536")).toBe('16 "65536" | a port (0-65535 or a service name)');
    expect(refusal("-p tcp --tcp-flags SYN")).toBe("23 the end of the line | a second value for --tcp-flags");
    expect(refusal("-p tcp --tcp-flags SYN,ECE SYN")).toMatch(/^24 "ECE" \| a TCP flag/);
    expect(refusal("-p tcp --syn --tcp-flags ALL ALL")).toBe('14 "--tcp-flags" | no --tcp-flags beside --syn');
    expect(refusal("-p tcp --tcp-option 0")).toBe('21 "0" | a TCP option (1-255)');
    expect(refusal("-m tcp --dport 1")).toBe('4 "tcp" | -p tcp in a rule with the match tcp');
  });
});
