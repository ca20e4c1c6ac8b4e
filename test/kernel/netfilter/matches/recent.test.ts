import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { attached, device, expectCanonical, pool, refusal } from "../one-rule.ts";

const packet = udpPacket(pool);
const recent = (options: string): string => `-m recent ${options}`;

describe("the match recent", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m recent --set", "-m recent --set --name DEFAULT --mask 255.255.255.255 --rsource"],
      [
        "-m recent ! --update --seconds 0x10 --name x --rdest",
        "-m recent ! --update --seconds 16 --name x --mask 255.255.255.255 --rdest",
      ],
      "-m recent --rcheck --seconds 10 --reap --hitcount 3 --rttl --name x --mask 255.255.255.0 --rsource",
      ["-m recent --rcheck --hitcount 0", "-m recent --rcheck --name DEFAULT --mask 255.255.255.255 --rsource"],
      "-m recent --remove --name x --mask 255.255.255.255 --rsource",
    ]);
  });

  it("knows an address once it was set", () => {
    const { ask } = attached([recent("--rcheck"), recent("! --rcheck"), recent("--set"), recent("! --set --name b")]);
    expect(ask(packet)).toEqual([false, true, true, false]);
    expect(ask(packet)).toEqual([true, false, true, false]);
    expect(ask(udpPacket(pool, { source: "10.0.0.9" }))).toEqual([false, true, true, false]);
  });

  it("counts hits within a time", () => {
    const { ask } = attached([recent("--rcheck --seconds 10 --hitcount 3"), recent("--set")]);
    expect([ask(packet, 0), ask(packet, 1), ask(packet, 2), ask(packet, 3)].map(([found]) => found)).toEqual([
      false,
      false,
      false,
      true,
    ]);
    expect(ask(packet, 11)[0]).toBe(true);
    expect(ask(packet, 22)[0]).toBe(false);
  });

  it("prolongs with --update only what matches", () => {
    const { ask } = attached([recent("--update --seconds 5"), recent("--rcheck --seconds 5")]);
    expect(ask(packet)).toEqual([false, false]);
    const set = attached([recent("--update --seconds 5"), recent("--rcheck --seconds 5")]);
    attached([recent("--set")], {}, { ruleState: set.context.net.ruleState }).ask(packet);
    expect(set.ask(packet, 4)).toEqual([true, true]);
    expect(set.ask(packet, 8)).toEqual([true, true]);
    expect(set.ask(packet, 14)).toEqual([false, false]);
  });

  it("forgets with --remove, and the oldest with --reap when its time is over", () => {
    const { ask } = attached([recent("--remove"), recent("--set")]);
    expect([ask(packet), ask(packet)]).toEqual([
      [false, true],
      [true, true],
    ]);
    const reaping = attached([recent("--rcheck --seconds 1 --reap"), recent("--rcheck"), recent("--set")]);
    expect(reaping.ask(packet, 0)).toEqual([false, false, true]);
    expect(reaping.ask(packet, 3)).toEqual([false, false, true]);
    expect(reaping.ask(packet, 3.5)).toEqual([true, true, true]);
  });

  it("tells TTLs apart with --rttl, as they were before forwarding", () => {
    const { ask, context } = attached([recent("--rcheck --rttl"), recent("--set")]);
    const short = udpPacket(pool, { ttl: 32 });
    expect([ask(packet), ask(short), ask(packet), ask(packet)].map(([found]) => found)).toEqual([
      false,
      false,
      false,
      true,
    ]);
    context.out = device("eth1", 2);
    expect(ask(udpPacket(pool, { ttl: 63 }))[0]).toBe(true);
  });

  it("keeps networks with --mask, destinations with --rdest and a hundred addresses", () => {
    const { ask } = attached([recent("--rcheck --mask 255.255.255.0"), recent("--set --mask 255.255.255.0")]);
    ask(packet);
    expect(ask(udpPacket(pool, { source: "10.0.0.77" }))[0]).toBe(true);
    const destinations = attached([recent("--rcheck --rdest"), recent("--set --rdest")]);
    destinations.ask(packet);
    expect(destinations.ask(udpPacket(pool, { source: "10.9.9.9" }))[0]).toBe(true);
    const many = attached([recent("--rcheck"), recent("--set")]);
    for (let i = 0; i <= 100; i++) many.ask(udpPacket(pool, { source: `10.0.1.${i}` }));
    expect(many.ask(udpPacket(pool, { source: "10.0.1.1" }))[0]).toBe(true);
    expect(many.ask(udpPacket(pool, { source: "10.0.1.0" }))[0]).toBe(false);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m recent")).toBe('4 "recent" | -m recent with --set, --rcheck, --update or --remove');
    expect(refusal("-m recent --set --rttl")).toBe('17 "--rttl" | no --rttl beside --set');
    expect(refusal("-m recent --remove --seconds 5")).toBe('20 "--seconds" | no --seconds beside --remove');
    expect(refusal("-m recent --rcheck --reap")).toBe('20 "--reap" | --seconds beside --reap');
    expect(refusal("-m recent --rcheck --seconds 0")).toMatch(/^30 "0" \| a number of seconds/);
    expect(refusal("-m recent --rcheck --hitcount 65536")).toBe('31 "65536" | a number of hits (0-65535)');
    expect(refusal("-m recent --set --rcheck")).toBe('17 "--rcheck" | no --rcheck beside --set');
  });
});
