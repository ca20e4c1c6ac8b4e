import { describe, expect, it } from "vitest";
import { Fabric } from "../../src/link/fabric.ts";
import { Veth } from "../../src/link/veth.ts";
import { FRAME, NETWORK, type Packet } from "../../src/packet/packet.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as tcp from "../../src/wire/tcp.ts";
import { Inbox, outstanding } from "./devices.ts";

const MAC = { high: 0x0200, low: 1 };
const [SOURCE, DESTINATION] = [0x0a000001, 0x0a000002];
const TRANSPORT = NETWORK + 20;
const DATA = TRANSPORT + tcp.TCP_HEADER;

function cable() {
  const fabric = new Fabric();
  const [left, right] = Veth.pair(
    fabric,
    { name: "l", namespace: "a", mac: MAC },
    { name: "r", namespace: "b", mac: MAC },
  );
  const inbox = new Inbox();
  right.receiver = inbox;
  left.setUp(true);
  right.setUp(true);
  return { fabric, left, inbox };
}

/** `length` bytes of data that the device is to cut every `segmentSize` bytes. */
function run(fabric: Fabric, length: number, segmentSize: number): Packet {
  const packet = fabric.generate(DATA - FRAME + length, 0);
  const { view, bytes } = packet;
  ethernet.setDestination(view, FRAME, MAC.high, MAC.low);
  ethernet.setEtherType(view, FRAME, ethernet.ETHERTYPE_IPV4);
  ipv4.write(view, NETWORK, {
    source: SOURCE,
    destination: DESTINATION,
    protocol: ipv4.PROTOCOL_TCP,
    length: packet.end - NETWORK,
    ttl: 64,
    tos: 0,
    identification: 0xfffe,
    fragment: ipv4.DONT_FRAGMENT,
  });
  const flags = tcp.ACK | tcp.PSH | tcp.FIN | tcp.CWR;
  tcp.write(view, TRANSPORT, {
    source: 80,
    destination: 4000,
    sequence: 0x7fffff00,
    acknowledgement: 5,
    flags,
    window: 100,
  });
  for (let i = 0; i < length; i++) bytes[DATA + i] = i % 251;
  packet.segmentSize = segmentSize;
  packet.mark = 7;
  return packet;
}

describe("a run of TCP segments", () => {
  it("crosses a cable as segments that make the same stream", () => {
    const { fabric, left, inbox } = cable();
    left.send(run(fabric, 3500, 1000));
    fabric.scheduler.run();
    const stream: number[] = [];
    const seen = inbox.packets.map(({ view, bytes, end }) => {
      expect(ipv4.totalLength(view, NETWORK)).toBe(end - NETWORK);
      expect(ipv4.check(view, NETWORK, end)).toBe(null);
      expect(tcp.isValid(view, TRANSPORT, end - TRANSPORT, SOURCE, DESTINATION)).toBe(true);
      stream.push(...bytes.subarray(DATA, end));
      const sequence = (tcp.sequenceNumber(view, TRANSPORT) - 0x7fffff00) | 0;
      return [end - DATA, ipv4.identification(view, NETWORK), sequence, tcp.formatFlags(tcp.flags(view, TRANSPORT))];
    });
    expect(seen).toEqual([
      [1000, 0xfffe, 0, "AC"],
      [1000, 0xffff, 1000, "A"],
      [1000, 0, 2000, "A"],
      [500, 1, 3000, "FPA"],
    ]);
    expect(stream).toEqual(Array.from({ length: 3500 }, (_, i) => i % 251));
  });

  it("ends in the books as what its segments came from", () => {
    const { fabric, left, inbox } = cable();
    left.send(run(fabric, 2000, 1000));
    fabric.scheduler.run();
    expect(inbox.packets.length).toBe(2);
    expect(inbox.packets.every(({ parent }) => parent === 1)).toBe(true);
    expect(fabric.books).toMatchObject({ generated: 3, consumed: 1 });
    expect(outstanding(fabric)).toBe(2);
  });

  it("is dropped whole where there is no carrier", () => {
    const { fabric, left } = cable();
    left.peer.setUp(false);
    left.send(run(fabric, 2000, 1000));
    expect(fabric.books).toMatchObject({ generated: 1, dropped: 1, consumed: 0 });
  });
});
