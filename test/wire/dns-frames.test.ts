import fc from "fast-check";
import { expect, it } from "vitest";
import { DnsFrames, frameDns } from "../../src/wire/dns-frames.ts";

it("DNS messages of a connection come back wherever the stream is cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 5 });
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 700 }), (sent, step) => {
      const bytes = Uint8Array.from(sent.flatMap((message) => [...frameDns(message)]));
      const frames = new DnsFrames();
      const found: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += step) found.push(...frames.add(bytes.subarray(at, at + step)));
      expect(found.map((message) => [...message])).toEqual(sent.map((message) => [...message]));
    }),
  );
});
