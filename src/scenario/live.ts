import { stringify } from "yaml";
import type { Veth } from "../link/veth.ts";
import { FRAME, type Packet } from "../packet/packet.ts";
import { formatBytes, LogReader, parseBytes, RecordedHost } from "../translator/host-log.ts";
import type { HostSockets } from "../translator/host-sockets.ts";
import type { PresetName } from "../translator/preset.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import type { World } from "../world/world.ts";
import type { ImpairmentSpec } from "./format.ts";
import { buildNetwork, type Material, vethAt } from "./network.ts";

/** What may happen in one instant before it counts as a storm. */
const MOST_AT_ONCE = 1_000_000;

/** A live session as it can be told beforehand; the recording comes behind it. Times and chances as scenarios write them. */
export interface LivePlan {
  readonly preset: PresetName;
  readonly seed: number;
  readonly allow: readonly string[];
  /** Ports of this machine that lead into the guest, as scenarios write them. */
  readonly publish: readonly string[];
  /** What DHCP tells the guest to boot; null for nothing. */
  readonly boot: string | null;
  /** What the link to the guest suffers, in both directions. */
  readonly impairment: ImpairmentSpec;
  /** `/etc/resolv.conf` and `/etc/hosts` of the machine outside. */
  readonly files: Readonly<Record<string, string>>;
}

/** The scenario of a session: with its log, and the time it ended at, it can be had again. */
export function formatLiveScenario(plan: LivePlan, log: string, until: number | null): string {
  const { preset, seed, allow, publish, boot, impairment, files } = plan;
  const end = (side: string) => `${side}/guest`;
  return stringify(
    {
      title: "A live session",
      seed,
      ...(until === null ? {} : { until: `${until}ns` }),
      namespaces: { guest: { devices: { guest: {} } }, outside: { files } },
      translators: { translator: { preset, host: "outside", allow, publish, ...(boot === null ? {} : { boot }) } },
      links: [{ ends: [end("guest"), end("translator")], ...impairment }],
      recording: { guest: end("guest"), translator: "translator", log },
    },
    { lineWidth: 0 },
  );
}

/** What stands outside of a live world: a guest that takes frames, and the sockets of a host. */
export interface Outside {
  readonly sockets: HostSockets;
  /** A frame for the guest, borrowed; false where it takes none, and the frame is lost. */
  toGuest(frame: Uint8Array): boolean;
  /** Told where the guest may not go. */
  refused?(reason: string): void;
}

/** A world that real frames and real sockets come into, or those of a recording. */
export class LiveWorld {
  readonly world: World;
  private readonly guest: Veth;

  /** `material` has a recording. @throws {InputError}. */
  constructor(material: Material, seed: number, outside: Outside) {
    const { source, spec } = material;
    const { guest, translator } = spec.recording!;
    if (spec.translators?.[translator] === undefined)
      throw source.error(["recording", "translator"], "a translator of this scenario");
    this.world = buildNetwork(material, seed, {
      sockets: outside.sockets,
      refused: (reason) => outside.refused?.(reason),
    });
    // What stands in the real guest is not ours to speak from.
    for (const each of this.world.translators.get(translator)!.guests) each.forwarder = null;
    this.guest = vethAt(source, ["recording", "guest"], this.world, guest);
    this.guest.receiver = { receive: (packet) => this.handOut(packet, outside) };
  }

  /** Takes ownership. */
  private handOut(packet: Packet, outside: Outside): void {
    const { fabric } = this.world;
    if (outside.toGuest(packet.bytes.subarray(FRAME, packet.end))) fabric.consume(packet, this.guest.place, "guest");
    else fabric.drop(packet, this.guest.place, "FULL_RING");
  }

  /** Something from outside happens at `time`, virtual nanoseconds, and all that it causes at once. */
  enter(time: number, event: () => void): void {
    this.advance(time);
    event();
    this.world.settle();
  }

  /** What was due until `time` happens. */
  advance(time: number): void {
    this.world.run(Math.max(time, this.world.fabric.scheduler.now), MOST_AT_ONCE);
  }

  /** A frame of the guest's, borrowed. One that no Ethernet carries is no frame at all: false. */
  fromGuest(frame: Uint8Array): boolean {
    if (frame.length < ETHERNET_HEADER || frame.length > this.guest.mtu + ETHERNET_HEADER + 4) return false;
    this.guest.send(this.world.fabric.inject(frame, this.guest.place));
    return true;
  }
}

/** What a live session's log says of its guest; the rest is of {@link RecordedHost}. */
const FRAME_EVENT = "frame";
const FULL = "= full";

export const frameEvent = (frame: Uint8Array): string => `${FRAME_EVENT} ${formatBytes(frame)}`;

/** The line for a frame that the guest's link did not take. */
export const fullAnswer = (): string => FULL;

/** A world that goes through a recording again. */
export class Replay {
  readonly live: LiveWorld;
  private readonly reader: LogReader;
  private readonly host: RecordedHost;

  /** @throws {InputError}. */
  constructor(
    private readonly material: Material,
    seed: number,
  ) {
    this.reader = new LogReader(material.spec.recording!.log.split("\n").filter((line) => line !== ""));
    this.host = new RecordedHost(this.reader);
    this.live = new LiveWorld(material, seed, { sockets: this.host, toGuest: () => !this.isFull() });
  }

  private isFull(): boolean {
    if (this.reader.line !== FULL) return false;
    this.reader.take();
    return true;
  }

  /** @throws {InputError} where the run departs from the recording. */
  run(until: number | null): void {
    try {
      for (let line = this.reader.take(); line !== null; line = this.reader.take()) this.happen(line, until);
      if (until !== null) this.live.advance(until);
    } catch (error) {
      if (error instanceof RangeError)
        throw this.material.source.error(["recording", "log"], `a recording of this scenario (${error.message})`);
      throw error;
    }
  }

  private happen(line: string, until: number | null): void {
    const space = line.indexOf(" ");
    const time = Number(line.slice(0, space));
    const event = line.slice(space + 1);
    const { now } = this.live.world.fabric.scheduler;
    if (!Number.isSafeInteger(time) || time < now)
      throw new RangeError(`"${line.slice(0, 40)}" does not begin with a time`);
    if (until !== null && time > until) return;
    this.live.enter(time, () => {
      if (event.startsWith(`${FRAME_EVENT} `)) this.live.fromGuest(parseBytes(event.slice(FRAME_EVENT.length + 1)));
      else this.host.happen(event);
    });
  }
}
