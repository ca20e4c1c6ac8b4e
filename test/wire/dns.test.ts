import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIpv4 } from "../../src/wire/address.ts";
import { type DnsMessage, formatDns, isDomainName, parseDns, reverseName } from "../../src/wire/dns.ts";

const label = fc.stringMatching(/^[a-z0-9]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const address = fc.ipV4();
const record = fc.oneof(
  fc.record({ name, type: fc.constant("A"), ttl: fc.nat(0x7fffffff), data: address }),
  fc.record({ name, type: fc.constantFrom("CNAME", "PTR", "NS"), ttl: fc.nat(0x7fffffff), data: name }),
);
const message: fc.Arbitrary<DnsMessage> = fc.record({
  id: fc.nat(0xffff),
  response: fc.boolean(),
  rcode: fc.constantFrom("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  questions: fc.array(fc.record({ name, type: fc.constantFrom("A", "AAAA", "PTR") }), { maxLength: 3 }),
  answers: fc.array(record, { maxLength: 5 }),
});

describe("a DNS message", () => {
  it("comes back from its bytes as it was", () => {
    fc.assert(
      fc.property(message, fc.boolean(), (original, compressed) => {
        expect(parseDns(formatDns(original, { compressed }))).toEqual(original);
      }),
    );
  });

  it("points at names that stood before, also at the end of longer ones, as BIND does", () => {
    const whole: DnsMessage = {
      id: 1,
      response: true,
      rcode: "NOERROR",
      questions: [{ name: "www.Example", type: "A" }],
      answers: [
        { name: "www.example", type: "CNAME", ttl: 60, data: "web.example" },
        { name: "web.example", type: "A", ttl: 60, data: "10.0.0.1" },
      ],
    };
    const [header, question, fixed] = [12, 13 + 4, 10];
    const [toQuestion, labelAndPointer] = [2, 4 + 2];
    const short = header + question + (toQuestion + fixed + labelAndPointer) + (2 + fixed + 4);
    expect(formatDns(whole)).toHaveLength(short);
    expect(formatDns(whole, { compressed: false })).toHaveLength(
      header + question + (13 + fixed + 13) + (13 + fixed + 4),
    );
  });

  it("is null for bytes that are none, whatever they are", () => {
    expect(parseDns(new Uint8Array(11))).toBeNull();
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (original, at, flip) => {
        const bytes = formatDns(original);
        bytes[at % bytes.length]! ^= flip;
        parseDns(bytes);
        parseDns(bytes.subarray(0, at % bytes.length));
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseDns(bytes)));
  });

  it("that is too long for a datagram goes without its answers", () => {
    const answers = Array.from({ length: 40 }, () => ({ name: "a.example", type: "A", ttl: 1, data: "10.0.0.1" }));
    const whole: DnsMessage = { id: 1, response: true, rcode: "NOERROR", questions: [], answers };
    expect(parseDns(formatDns(whole, { limit: 512 }))).toMatchObject({ truncated: true, answers: [] });
  });
});

it("tells names that can be asked for from others", () => {
  for (const good of ["a", "web.example", "_x._tcp.example"]) expect(isDomainName(good)).toBe(true);
  for (const bad of ["", ".", "a..b", "a b", `${"x".repeat(64)}.y`, Array(60).fill("abcde").join(".")])
    expect(isDomainName(bad)).toBe(false);
});

it("looks addresses up backwards", () => {
  expect(reverseName(parseIpv4("10.1.2.3"))).toBe("3.2.1.10.in-addr.arpa");
});
