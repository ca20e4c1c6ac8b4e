import { describe, expect, it } from "vitest";
import { NETWORK, type Packet } from "../../../../src/packet/packet.ts";
import { totalLength } from "../../../../src/wire/ipv4.ts";
import * as tcp from "../../../../src/wire/tcp.ts";
import { bytesOf, isIntact, rawPacket, TRANSPORT, tcpPacket } from "../../../frames.ts";
import { contextOf, device, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "FORWARD" } as const;
const MSS_1460 = [2, 4, 0x05, 0xb4];

/** The way back to the source has an MTU of `back`, null for no way; the packet is bridged, so `out` is its way on. */
function apply(options: string, packet: Packet, back: number | null = 1500): string {
  const path = () => (back === null ? { error: "ENETUNREACH", mtu: 0 } : { error: null, mtu: back });
  const context = contextOf("forward", { path });
  context.out = device("ppp0", 2, 1400);
  return targetOf(`-p tcp -j TCPMSS ${options}`, MANGLE).apply(packet, context);
}

const optionsOf = (packet: Packet): number[] => [
  ...packet.bytes.subarray(TRANSPORT + tcp.TCP_HEADER, TRANSPORT + tcp.headerLength(packet.view, TRANSPORT)),
];

describe("the target TCPMSS", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        [
          "-p tcp --syn -j TCPMSS --clamp-mss-to-pmtu",
          "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j TCPMSS --clamp-mss-to-pmtu",
        ],
        ["-p tcp -j TCPMSS --clamp-mss-to-pmtu --set-mss 1400", "-p tcp -j TCPMSS --set-mss 1400"],
      ],
      MANGLE,
    );
  });

  it("lowers the option to the value", () => {
    const packet = tcpPacket(pool, { options: MSS_1460 });
    expect(apply("--set-mss 1000", packet)).toBe("CONTINUE");
    expect(optionsOf(packet)).toEqual([2, 4, 0x03, 0xe8]);
    expect(isIntact(packet)).toBe(true);
  });

  it("lowers an option that stands at an odd offset", () => {
    const packet = tcpPacket(pool, { options: [1, ...MSS_1460, 1, 1, 0] });
    apply("--set-mss 1000", packet);
    expect(optionsOf(packet)).toEqual([1, 2, 4, 0x03, 0xe8, 1, 1, 0]);
    expect(isIntact(packet)).toBe(true);
  });

  it("never raises the option", () => {
    const packet = tcpPacket(pool, { options: MSS_1460 });
    const before = bytesOf(packet);
    expect(apply("--set-mss 2000", packet)).toBe("CONTINUE");
    expect(bytesOf(packet)).toEqual(before);
  });

  it.each([
    ["the way on", 1500, 1360],
    ["the way back", 1300, 1260],
    ["the way on where there is none back", null, 1360],
  ])("clamps to the MTU of %s less 40", (_, back, mss) => {
    const packet = tcpPacket(pool, { options: MSS_1460 });
    apply("--clamp-mss-to-pmtu", packet, back);
    expect(optionsOf(packet)).toEqual([2, 4, mss >> 8, mss & 255]);
    expect(isIntact(packet)).toBe(true);
  });

  it("adds the option, at most 536, where there is none and no data", () => {
    const packet = tcpPacket(pool, { options: [4, 2, 1, 1] });
    expect(apply("--set-mss 1000", packet)).toBe("CONTINUE");
    expect(optionsOf(packet)).toEqual([2, 4, 0x02, 0x18, 4, 2, 1, 1]);
    expect(totalLength(packet.view, NETWORK)).toBe(48);
    expect(packet.end).toBe(NETWORK + 48);
    expect(isIntact(packet)).toBe(true);
  });

  it("leaves segments with data and later fragments alone", () => {
    const packet = tcpPacket(pool, {}, [1, 2, 3]);
    const before = bytesOf(packet);
    expect(apply("--set-mss 500", packet)).toBe("CONTINUE");
    expect(bytesOf(packet)).toEqual(before);
    expect(apply("--set-mss 500", rawPacket(pool, 6, [1, 2], { fragment: 5 }))).toBe("CONTINUE");
  });

  it("drops a segment whose header is not whole", () => {
    expect(apply("--set-mss 500", rawPacket(pool, 6, new Array(19).fill(0)))).toBe("DROP");
    const packet = tcpPacket(pool);
    packet.view.setUint8(TRANSPORT + 12, 0xf0);
    expect(apply("--set-mss 500", packet)).toBe("DROP");
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j TCPMSS --set-mss 500", MANGLE)).toBe('4 "TCPMSS" | TCPMSS only in a rule with -p tcp');
    expect(refusal("-p tcp -j TCPMSS", MANGLE)).toBe('11 "TCPMSS" | -j TCPMSS with --set-mss or --clamp-mss-to-pmtu');
    expect(refusal("-p tcp -j TCPMSS --clamp-mss-to-pmtu", { table: "mangle", chain: "INPUT" })).toMatch(
      /^11 "TCPMSS" \| TCPMSS only in chains/,
    );
  });
});
