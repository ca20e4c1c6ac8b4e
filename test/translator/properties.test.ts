import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FRAME, NETWORK } from "../../src/packet/packet.ts";
import { Random } from "../../src/sim/random.ts";
import { PRESET_NAMES } from "../../src/translator/preset.ts";
import { formatIpv4 } from "../../src/wire/address.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as udp from "../../src/wire/udp.ts";
import { icmpPacket, tcpPacket, udpPacket } from "../frames.ts";
import { endpoint, format, TranslatorStage } from "./stage.ts";

const address = fc.integer({ min: 1, max: 250 }).map((n) => `203.0.113.${n}`);
const port = fc.integer({ min: 1024, max: 65_535 });
const datagrams = fc.array(
  fc.record({
    source: fc.constantFrom("192.168.65.3", "172.17.0.2"),
    sourcePort: port,
    destination: address,
    destinationPort: port,
  }),
  { minLength: 1, maxLength: 40 },
);

describe.each(PRESET_NAMES)("UDP flows of %s", (preset) => {
  it("give back what they took: an answer reaches the address and port that asked, from the one that was asked", () => {
    fc.assert(
      fc.property(datagrams, (sent) => {
        const stage = new TranslatorStage({ preset });
        for (const fields of sent) {
          stage.send(udpPacket(stage.pool, fields, [1]));
          const from = endpoint(`${fields.destination}:${fields.destinationPort}`);
          const socket = [...stage.host.datagramSockets]
            .reverse()
            .find(({ sent }) => sent.at(-1)?.to === format(from))!;
          socket.events.received(Uint8Array.of(2), from, 0);
          const [frame] = stage.take();
          expect(frame).toMatchObject({ source: fields.destination, destination: fields.source });
          expect(udp.sourcePort(frame!.view, frame!.at)).toBe(fields.destinationPort);
          expect(udp.destinationPort(frame!.view, frame!.at)).toBe(fields.sourcePort);
        }
        expect(stage.balanced).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it("never share a socket, are bounded, and leave nothing behind", () => {
    fc.assert(
      fc.property(datagrams, (sent) => {
        const stage = new TranslatorStage({ preset });
        for (const fields of sent) stage.send(udpPacket(stage.pool, fields, [1]));
        const flows = [...stage.guests[0]!.udp.all];
        expect(new Set(flows.map(({ socket }) => socket.local.port)).size).toBe(flows.length);
        expect(flows.length).toBeLessThanOrEqual(sent.length);
        stage.pass(700);
        expect(stage.guests[0]!.udp.size).toBe(0);
        expect(stage.host.datagramSockets.every(({ closed }) => closed)).toBe(true);
        expect(stage.fabric.pool.held).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});

/** A frame like a guest's, with some bytes broken. */
function hostileFrame(stage: TranslatorStage, random: Random): Uint8Array {
  const { pool } = stage;
  const pick = <T>(...values: T[]): T => values[random.below(values.length)]!;
  const data = new Array(random.below(40)).fill(random.next() & 255);
  const fields = {
    source: pick("192.168.65.3", "172.17.0.2", "0.0.0.0", formatIpv4(random.next())),
    destination: pick(
      "192.168.65.1",
      "192.168.65.2",
      "192.168.65.4",
      "255.255.255.255",
      "203.0.113.10",
      formatIpv4(random.next()),
    ),
    ttl: random.below(256),
    fragment: pick(0, 0, 0, ipv4.DONT_FRAGMENT, ipv4.MORE_FRAGMENTS, random.below(0x10000)),
    sourcePort: pick(68, 5000, random.below(65_536)),
    destinationPort: pick(53, 67, 80, 3128, 9000, random.below(65_536)),
    type: pick(0, 3, 8, 8, 11, random.below(256)),
    flags: pick(2, 2, 16, 4, 17, 18, random.below(256)),
    identification: random.below(4),
  };
  const build = pick(udpPacket, tcpPacket, icmpPacket);
  const packet = build(pool, fields, data);
  const { mac } = stage.translator.addresses;
  packet.view.setUint16(FRAME, pick(mac.high, mac.high, mac.high, 0xffff, random.below(0x10000)));
  packet.view.setInt32(FRAME + 2, pick(mac.low, mac.low, mac.low, -1, random.next()));
  const end = random.below(10) === 0 ? Math.max(NETWORK, packet.end - random.below(60)) : packet.end;
  const frame = packet.bytes.slice(FRAME, end);
  for (let flips = pick(0, 0, 1, 3); flips > 0; flips--) frame[random.below(frame.length)] = random.next() & 255;
  pool.release(packet);
  return frame;
}

const ROUNDS = Number(process.env["HOPSCOPE_HOSTILE"] ?? 1_000_000) / PRESET_NAMES.length;

describe.each(PRESET_NAMES)("hostile frames into %s", (preset) => {
  it("never crash it: each ends in a delivery, an answer or a reason, and its tables stay bounded", () => {
    const random = new Random(11).fork(preset);
    const stage = new TranslatorStage({
      preset,
      guests: 2,
      addresses: new TranslatorStage().translator.addresses,
      capture: true,
    });
    for (const tap of stage.taps) tap.onFrame = () => {};
    for (let i = 0; i < ROUNDS; i++) {
      stage.taps[i & 1]!.write(hostileFrame(stage, random));
      if ((i & 1023) === 0) {
        stage.host.datagramSockets.length = 0;
        stage.host.pings.length = 0;
        stage.pass(0.1);
      }
    }
    const [guest] = stage.guests;
    const { udp: rules, endpoints } = stage.translator.behaviour;
    expect(guest!.udp.size).toBeLessThanOrEqual(rules.most);
    expect(guest!.impersonationCount).toBeLessThanOrEqual(endpoints.most);
    stage.pass(1000);
    expect(guest!.udp.size + guest!.gatewayUdp.size + guest!.icmp.size + guest!.tcp.size).toBe(0);
    expect(stage.balanced).toBe(true);
    expect(Object.keys(stage.drops()).length).toBeGreaterThan(8);
  }, 300_000);
});
