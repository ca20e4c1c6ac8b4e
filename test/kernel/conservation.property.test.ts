import fc from "fast-check";
import { expect, it } from "vitest";
import { Veth } from "../../src/link/veth.ts";
import { Lab } from "../../src/scenario/lab.ts";
import type { LabStep } from "../../src/scenario/lab-case.ts";
import type { CapturedFrame } from "../../src/trace/capture.ts";
import { type PacketTrace, readTrace } from "../../src/trace/trace.ts";
import { fold, sumBytes } from "../../src/wire/checksum.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as tcp from "../../src/wire/tcp.ts";
import * as udp from "../../src/wire/udp.ts";
import { balance } from "./balance.ts";
import { randomLab } from "./random-lab.ts";

/** Null for a frame whose IPv4, ICMP, UDP and TCP checksums are right; what is wrong otherwise. */
function wrongChecksum({ bytes }: CapturedFrame): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (ethernet.etherType(view, 0) !== ethernet.ETHERTYPE_IPV4) return null;
  const at = ethernet.ETHERNET_HEADER;
  if (fold(sumBytes(view, at, ipv4.headerLength(view, at))) !== 0xffff) return "ipv4";
  if (ipv4.isFragment(view, at)) return null;
  const transport = at + ipv4.headerLength(view, at);
  const length = at + ipv4.totalLength(view, at) - transport;
  const source = ipv4.source(view, at);
  const destination = ipv4.destination(view, at);
  const protocol = ipv4.protocol(view, at);
  if (protocol === ipv4.PROTOCOL_ICMP && !icmp.isValid(view, transport, length)) return "icmp";
  if (protocol === ipv4.PROTOCOL_TCP && !tcp.isValid(view, transport, length, source, destination)) return "tcp";
  // The random fragments carry no valid datagram, whole ones do.
  if (protocol === ipv4.PROTOCOL_UDP && udp.sourcePort(view, transport) !== 0x0f0f)
    return udp.isValid(view, transport, length, source, destination) ? null : "udp";
  return null;
}

/** Frames that a case injects may be wrong on purpose, and so are their copies and fragments. */
function comesFromOutside(byId: ReadonlyMap<number, PacketTrace>, id: number): boolean {
  for (let packet = byId.get(id); packet !== undefined; packet = byId.get(packet.parent))
    if (packet.origin === "injected") return true;
  return false;
}

/** Not a raw packet with a wrong checksum, nor one whose source, and so its checksum, the kernel completes. */
const sendsRight = ({ pkt }: LabStep): boolean => pkt?.icmp?.csum === undefined && pkt?.ip.src !== "0.0.0.0";

const impairment = fc.record({
  delay: fc.constantFrom(0, 1e6, 50e6),
  jitter: fc.constantFrom(0, 1e6),
  loss: fc.constantFrom(0, 0.3),
  duplicate: fc.constantFrom(0, 0.3),
  reorder: fc.constantFrom(0, 0.3),
});

it("loses no packet from its books, and forwards none with a wrong checksum", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(randomLab, fc.option(impairment, { nil: null }), (spec, options) => {
      const steps = spec.steps!.filter(sendsRight);
      const lab = new Lab({ ...spec, steps });
      const { world } = lab;
      const up = world.device("host", "eth0");
      if (options !== null && up instanceof Veth) world.impair(up, options);
      lab.run();
      expect(balance(world).missing).toBe(0);
      world.run(world.fabric.scheduler.now + 120e9);
      expect(balance(world)).toEqual({ missing: 0, held: 0 });
      const { byId } = readTrace(world.fabric.trace!);
      for (const frame of world.fabric.capture!.frames)
        if (!comesFromOutside(byId, frame.packet)) expect(wrongChecksum(frame)).toBeNull();
    }),
    { numRuns: 1000, seed: Number(process.env["HOPSCOPE_SEED"] ?? 1) },
  );
});
