import { describe, expect, it } from "vitest";
import { parseHex } from "../../../../src/scenario/lab-packet.ts";
import * as sctp from "../../../../src/wire/sctp.ts";
import { rawPacket } from "../../../frames.ts";
import { chunk, sctpPacket } from "../../sctp-packet.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const packet = (chunks: string, cut = 0) => {
  const bytes = parseHex(sctpPacket({ sport: 5000, dport: 80, tag: 1 }, chunks));
  return rawPacket(pool, sctp.PROTOCOL_SCTP, [...bytes.subarray(0, bytes.length - cut)]);
};
const DATA = chunk(sctp.DATA, 3);
const ABORT = chunk(sctp.ABORT);
const asks = (rule: string, chunks: string) => matchOf(`-p sctp -m sctp ${rule}`).matches(packet(chunks), contextOf());

describe("the match sctp", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-p sctp -m sctp",
      ["-p sctp --sport 1: --dport 22", "-p sctp -m sctp --sport 1:65535 --dport 22"],
      "-p sctp -m sctp ! --sport 0:65535",
      ["-p sctp --chunk-types ANY data,DATA", "-p sctp -m sctp --chunk-types any DATA"],
      ["-p sctp --chunk-types only ABORT:t,DATA:BEi", "-p sctp -m sctp --chunk-types only DATA:iBE,ABORT:t"],
      ["-p sctp --chunk-types any PAD,I_DATA:B,ASCONF", "-p sctp -m sctp --chunk-types any I_DATA,PAD,ASCONF"],
      ["-p sctp --chunk-types any DATA:B,DATA:bE", "-p sctp -m sctp --chunk-types any DATA:BE"],
      ["-p sctp ! --chunk-types all all", "-p sctp -m sctp ! --chunk-types all ALL"],
      ['-p sctp --chunk-types any ""', "-p sctp -m sctp --chunk-types any NONE"],
    ]);
  });

  it("compares ports", () => {
    expect(asks("--sport 5000 --dport 80:90", DATA)).toBe(true);
    expect(asks("--sport 5000 ! --dport 80:90", DATA)).toBe(false);
    expect(asks("! --sport 0:65535", DATA)).toBe(false);
  });

  it("looks for any, all or only the chunks", () => {
    expect(asks("--chunk-types any DATA,INIT", ABORT + DATA)).toBe(true);
    expect(asks("--chunk-types all DATA,INIT", ABORT + DATA)).toBe(false);
    expect(asks("--chunk-types all DATA,ABORT", ABORT + DATA)).toBe(true);
    expect(asks("--chunk-types only DATA,ABORT,INIT", ABORT + DATA)).toBe(true);
    expect(asks("--chunk-types only DATA", ABORT + DATA)).toBe(false);
    expect(asks("! --chunk-types only DATA", ABORT + DATA)).toBe(true);
    expect(asks("--chunk-types all ALL", ABORT + DATA)).toBe(false);
    expect(asks("--chunk-types all NONE", ABORT + DATA)).toBe(true);
  });

  it("compares the flags of chunks that have some", () => {
    expect(asks("--chunk-types any DATA:BE", DATA)).toBe(true);
    expect(asks("--chunk-types any DATA:Be", DATA)).toBe(false);
    expect(asks("--chunk-types any ABORT:t", ABORT)).toBe(true);
    expect(asks("--chunk-types any ABORT:T", ABORT)).toBe(false);
    expect(asks("--chunk-types any I_DATA:U", chunk(64))).toBe(true);
  });

  it("drops what is cut short", () => {
    const drops = (rule: string, chunks: string, cut: number) => {
      const context = contextOf();
      expect(matchOf(`-p sctp -m sctp ${rule}`).matches(packet(chunks, cut), context)).toBe(false);
      return context.hotdrop;
    };
    expect(drops("--sport 1", "", 1)).toBe(true);
    expect(drops("--chunk-types any ABORT", DATA, 1)).toBe(true);
    expect(drops("--chunk-types any ABORT", DATA, 0)).toBe(false);
    expect(drops("--chunk-types any ABORT", chunk(sctp.DATA, 0, "", 0), 0)).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-p tcp -m sctp --sport 5")).toMatch(/^11 "sctp" \| -p sctp in a rule/);
    expect(refusal("-p sctp --sport ssh")).toBe('17 "ssh" | a port (0-65535)');
    expect(refusal("-p sctp --sport 5:4")).toMatch(/^17 "5:4"/);
    expect(refusal("-p sctp --chunk-types some DATA")).toBe('23 "some" | all, any or only');
    expect(refusal("-p sctp --chunk-types any DATA,NONE")).toMatch(/^32 "NONE" \| an SCTP chunk/);
    expect(refusal("-p sctp --chunk-types any INIT:T")).toBe('32 "T" | flags of INIT');
  });
});
