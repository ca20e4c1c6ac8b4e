import type { Receiver } from "../../src/link/device.ts";
import { Fabric } from "../../src/link/fabric.ts";
import { Veth } from "../../src/link/veth.ts";
import { FRAME, NETWORK, type Packet } from "../../src/packet/packet.ts";
import { ROW } from "../../src/trace/recorder.ts";
import { STEP_KINDS } from "../../src/trace/step.ts";
import { formatMac, parseMac } from "../../src/wire/address.ts";
import * as ethernet from "../../src/wire/ethernet.ts";

/**
 * What must come out the same in Node and in a browser: a text that depends on nothing but its seed. Two ends of a cable
 * throw frames of random length at each other after random pauses.
 */
export function subject(seed: number): string {
  const fabric = new Fabric(seed);
  const trace = fabric.record();
  const random = fabric.random.fork("subject");
  const [left, right] = Veth.pair(
    fabric,
    { name: "eth0", namespace: "web", mac: parseMac("02:00:00:00:00:01") },
    { name: "veth1", namespace: "root", mac: parseMac("02:00:00:00:00:02"), mtu: 1400 },
  );
  let throwsLeft = 500;
  const throwBack = (from: Veth): void => {
    if (--throwsLeft < 0) return;
    const packet = fabric.generate(14 + random.below(1500), 0);
    for (let at = NETWORK; at < packet.end; at++) packet.bytes[at] = random.next();
    ethernet.setDestination(
      packet.view,
      FRAME,
      from.peer.macHigh,
      random.chance(0.9) ? from.peer.macLow : random.next(),
    );
    ethernet.setSource(packet.view, FRAME, from.macHigh, from.macLow);
    ethernet.setEtherType(packet.view, FRAME, random.chance(0.5) ? ethernet.ETHERTYPE_IPV4 : ethernet.ETHERTYPE_ARP);
    trace.headers(packet.id, from.place, packet.view, FRAME, packet.end);
    from.send(packet);
    fabric.scheduler.timer(() => throwBack(from)).armIn(random.below(1e9));
  };
  for (const end of [left, right]) {
    const receiver: Receiver = {
      receive(packet: Packet) {
        fabric.deliver(packet, end.place, `program behind ${formatMac(end.macHigh, end.macLow)}`);
        fabric.scheduler.timer(() => throwBack(end)).armIn(Math.round(random.unit() * 1e6));
      },
    };
    end.receiver = receiver;
    end.setUp(true);
    throwBack(end);
  }
  fabric.scheduler.run();
  const lines: string[] = [];
  for (let row = 0; row < trace.length; row++) {
    const [kind, ...operands] = trace.rows.subarray(row * ROW, (row + 1) * ROW);
    lines.push(`${trace.times[row]} ${STEP_KINDS[kind!]!.name} ${operands.join(" ")}`);
  }
  return `${lines.join("\n")}\n${JSON.stringify(fabric.books)}\n`;
}
