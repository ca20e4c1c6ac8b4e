import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../src/sim/random.ts";
import {
  formatCommand,
  formatGreeting,
  formatReply,
  parseCommand,
  parseGreeting,
  parseReply,
  type Reply,
  VMNET_VERSION,
  VmnetHandshake,
} from "../../src/translator/vmnet.ts";
import { parseIpv4, parseMac } from "../../src/wire/address.ts";

const UUID = "01234567-89ab-cdef-0123-456789abcdef";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const VIF: Reply = { kind: "vif", mtu: 1500, mac: parseMac("02:50:00:00:00:01") };

const joined = (...parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const handshake = (admit: () => Reply = () => VIF) => new VmnetHandshake(COMMIT, admit);

const uuid = fc.uuid();
const greeting = fc.record({
  version: fc.nat(),
  commit: fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), maxLength: 40 }),
});
const command = fc.record({ uuid, address: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) });
const reply = fc.oneof(
  fc.record({
    kind: fc.constant("vif" as const),
    mtu: fc.integer({ min: 68, max: 65_000 }),
    mac: fc.record({ high: fc.nat(0xffff).map((high) => high & 0xfeff), low: fc.integer() }),
  }),
  fc.record({ kind: fc.constant("disconnect" as const), reason: fc.string({ unit: "binary-ascii", maxLength: 255 }) }),
);

describe("VMNET", () => {
  it("has a greeting of 49 bytes: VMN3T, version 22, 40 letters of a commit", () => {
    const bytes = formatGreeting({ version: VMNET_VERSION, commit: COMMIT });
    expect(bytes).toHaveLength(49);
    expect(String.fromCharCode(...bytes.subarray(0, 5))).toBe("VMN3T");
    expect([...bytes.subarray(5, 9)]).toEqual([22, 0, 0, 0]);
    expect(String.fromCharCode(...bytes.subarray(9))).toBe(COMMIT);
  });

  it("has a command of 41 bytes, in which an address stands with its bytes reversed", () => {
    const bytes = formatCommand({ uuid: UUID, address: parseIpv4("192.168.65.3") });
    expect(bytes).toHaveLength(41);
    expect([bytes[0], ...bytes.subarray(37)]).toEqual([8, 3, 65, 168, 192]);
    expect(formatCommand({ uuid: UUID, address: 0 })[0]).toBe(1);
  });

  it("has a reply of 258 bytes with the MTU, 50 more, and the MAC address", () => {
    const bytes = formatReply(VIF);
    expect(bytes).toHaveLength(258);
    expect([...bytes.subarray(0, 11)]).toEqual([1, 0xdc, 5, 0x0e, 6, 2, 0x50, 0, 0, 0, 1]);
  });

  it("reads what it writes", () => {
    fc.assert(
      fc.property(greeting, (value) => {
        expect(parseGreeting(formatGreeting(value))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(command, (value) => {
        expect(parseCommand(formatCommand(value))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(reply, (value) => {
        expect(parseReply(formatReply(value))).toEqual(value);
      }),
    );
  });

  it("shakes hands however the client's bytes are split, and keeps the frames behind", () => {
    const frames = Uint8Array.of(14, 0, 1, 2, 3);
    const client = joined(
      formatGreeting({ version: 22, commit: "" }),
      formatCommand({ uuid: UUID, address: 0 }),
      frames,
    );
    for (let at = 0; at <= client.length; at++) {
      const server = handshake();
      const steps = [client.subarray(0, at), client.subarray(at)].filter((part) => part.length > 0);
      const answers: Uint8Array[] = [];
      let rest: number[] = [];
      for (const part of steps) {
        const step =
          server.command === null ? server.push(part) : { answer: new Uint8Array(0), fault: null, rest: part };
        answers.push(step.answer);
        expect(step.fault).toBeNull();
        if (step.rest !== null) rest = [...rest, ...step.rest];
      }
      expect(joined(...answers)).toEqual(joined(formatGreeting({ version: 22, commit: COMMIT }), formatReply(VIF)));
      expect(rest).toEqual([...frames]);
      expect(server.command).toEqual({ uuid: UUID, address: 0 });
    }
  });

  it.each([
    [
      "another magic",
      joined(
        Uint8Array.from("VMN4T", (c) => c.charCodeAt(0)),
        new Uint8Array(44),
      ),
      "VMN4T",
    ],
    [
      "a command of vmnetd",
      joined(formatGreeting({ version: 22, commit: "" }), Uint8Array.of(6), new Uint8Array(40)),
      "command 6",
    ],
    [
      "no UUID",
      joined(formatGreeting({ version: 22, commit: "" }), Uint8Array.of(1), new Uint8Array(40)),
      "expected a UUID",
    ],
  ])("hangs up on %s", (_what, bytes, reason) => {
    expect(handshake().push(bytes).fault).toContain(reason);
  });

  it("shows its own version before it hangs up on another", () => {
    const { answer, fault } = handshake().push(formatGreeting({ version: 21, commit: "" }));
    expect(answer).toEqual(formatGreeting({ version: 22, commit: COMMIT }));
    expect(fault).toBe("version 21, expected 22");
  });

  it("says why there is no card", () => {
    const server = handshake(() => ({ kind: "disconnect", reason: "no address left" }));
    server.push(formatGreeting({ version: 22, commit: "" }));
    const { answer, fault } = server.push(formatCommand({ uuid: UUID, address: 0 }));
    expect(parseReply(answer)).toEqual({ kind: "disconnect", reason: "no address left" });
    expect(fault).toBe("no address left");
  });

  it("ends 100,000 random handshakes in a card or a reason, never in a crash", () => {
    const random = new Random(7);
    const start = joined(formatGreeting({ version: 22, commit: COMMIT }), formatCommand({ uuid: UUID, address: 0 }));
    const ends = { card: 0, fault: 0, waiting: 0 };
    for (let i = 0; i < 100_000; i++) {
      const bytes = start.slice();
      for (let flips = random.below(3); flips > 0; flips--) bytes[random.below(90)] = random.next() & 255;
      const cut = random.below(91);
      const server = handshake();
      const first = server.push(bytes.subarray(0, cut));
      const last = first.fault === null && first.rest === null ? server.push(bytes.subarray(cut)) : first;
      if (last.fault !== null) ends.fault++;
      else if (last.rest !== null) ends.card++;
      else ends.waiting++;
    }
    expect(ends.waiting).toBe(0);
    expect(ends.card).toBeGreaterThan(10_000);
    expect(ends.fault).toBeGreaterThan(10_000);
  });
});
