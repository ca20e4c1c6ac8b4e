import type { Capture, CapturedFrame } from "./capture.ts";
import type { Names } from "./names.ts";
import { birthHeaders, kindOf, titleOf } from "./packet-title.ts";
import type { Level } from "./step.ts";
import { socketText, unixText } from "./step-text.ts";
import { hopEntries, pathEntries } from "./story-hop.ts";
import { type Block, type Entry, layOut, type StoryLine, storyText } from "./story-line.ts";
import { PacketStory } from "./story-packet.ts";
import type { PacketTrace, Step, StepOf, Trace } from "./trace.ts";

export type { Role, Span, StoryLine } from "./story-line.ts";
export { storyText };

export interface StoryOptions {
  /** `step` where absent. */
  readonly level?: Level;
  /** For the bytes of frames at level `byte`, with the names that its places are numbers of. */
  readonly capture?: { readonly capture: Capture; readonly names: Names };
}

/** What the parts of a story share. */
export interface Telling {
  readonly trace: Trace;
  readonly level: Level;
  /** `#2 ICMP echo reply`. */
  link(id: number): string;
  /** The captured frame of a step, or null. Steps ask in their order. */
  frame(step: StepOf<"tx"> | StepOf<"rx">, direction: "in" | "out"): CapturedFrame | null;
}

/** The story of a trace: a block for each packet in the order of birth, in lines of at most 100 columns. */
export function tellStory(trace: Trace, options: StoryOptions = {}): StoryLine[] {
  const frames = new Frames(options.capture ?? null);
  const telling: Telling = {
    trace,
    level: options.level ?? "step",
    link(id) {
      const packet = trace.byId.get(id);
      return packet === undefined ? `#${id}` : `#${id} ${kindOf(birthHeaders(packet))}`;
    },
    frame: (step, direction) => frames.take(step, direction),
  };
  const blocks: Block[] = [];
  let next = 0;
  for (const packet of trace.packets) {
    const born = packet.hops[0]!.steps[0]!.row;
    const start = next;
    while (next < trace.events.length && trace.events[next]!.row < born) next++;
    addEvents(blocks, trace.events.slice(start, next), telling.level);
    blocks.push(packetBlock(packet, telling));
  }
  addEvents(blocks, trace.events.slice(next), telling.level);
  return layOut(blocks);
}

/** The story as one text, a line break behind each line. */
export function formatStory(trace: Trace, options: StoryOptions = {}): string {
  return `${storyText(tellStory(trace, options))}\n`;
}

function packetBlock(packet: PacketTrace, telling: Telling): Block {
  const headers = birthHeaders(packet);
  const title = `#${packet.id} ${titleOf(headers)}${relation(packet, telling)}`;
  const entries = () => {
    if (telling.level === "hop") return hopEntries(packet, telling);
    if (headers.arp !== null && telling.level === "step") return pathEntries(packet, telling);
    return new PacketStory(packet, telling).entries;
  };
  return { title, time: packet.time, entries: entries() };
}

/** How a packet belongs to the one that led to it. */
function relation({ id, origin, parent: number }: PacketTrace, { trace }: Telling): string {
  if (number === 0) return "";
  const parent = trace.byId.get(number);
  const steps = parent?.hops.flatMap((hop) => hop.steps) ?? [];
  if (origin === "cloned") return `  (copy of #${number})`;
  if (steps.some((step) => step.kind === "error" && step.error === id)) return `  (about #${number})`;
  const end = parent?.disposition;
  if (end?.kind === "consumed" && end.by === "fragmentation") return `  (fragment of #${number})`;
  if (end?.kind === "consumed" && end.by === "segmentation") return `  (segment of #${number})`;
  if (kindOf(birthHeaders(trace.byId.get(id)!)) === "ARP request") return `  (for #${number})`;
  const elsewhere = parent?.disposition.where?.namespace !== trace.byId.get(id)!.hops[0]!.namespace;
  return parent !== undefined && elsewhere ? `  (carries on #${number})` : `  (answers #${number})`;
}

function addEvents(blocks: Block[], events: readonly Step[], level: Level): void {
  const entries = events.flatMap((event) => eventEntry(event, level) ?? []);
  if (entries.length > 0) blocks.push({ title: null, time: entries[0]!.time, entries });
}

function eventEntry(event: Step, level: Level): Entry | null {
  const { time, where } = event;
  const entry = (subject: string, text: string): Entry => ({
    namespace: where?.namespace ?? "",
    subject,
    text,
    role: "event",
    time,
  });
  if (event.kind === "program") return entry("program", event.line);
  if (level === "hop") return null;
  if (event.kind === "unix") return entry("unix", unixText(event));
  if (event.kind === "socket") return entry("socket", socketText(event));
  if (event.kind === "conntrack") return entry("conntrack", `flow ${event.connection} ends`);
  if (event.kind !== "neighbour" || (level === "step" && event.state !== "FAILED")) return null;
  const mac = event.mac === "00:00:00:00:00:00" ? "" : ` ${event.mac}`;
  return entry(where?.device ?? "", `neighbour ${event.address}${mac} is ${event.state}`);
}

/** Captured frames by packet, device and direction, each list in the order of the steps. */
class Frames {
  private readonly lists = new Map<string, CapturedFrame[]>();

  constructor(source: StoryOptions["capture"] | null) {
    for (const frame of source?.capture.frames ?? []) {
      const name = source!.names.get(frame.place);
      if (name?.kind !== "device") continue;
      const key = `${frame.packet} ${frame.direction} ${name.namespace} ${name.device}`;
      const list = this.lists.get(key);
      if (list === undefined) this.lists.set(key, [frame]);
      else list.push(frame);
    }
  }

  take(step: StepOf<"tx"> | StepOf<"rx">, direction: "in" | "out"): CapturedFrame | null {
    const list = this.lists.get(`${step.packet} ${direction} ${step.where?.namespace} ${step.where?.device}`);
    while (list !== undefined && list.length > 0 && list[0]!.time < step.time) list.shift();
    return list?.[0]?.time === step.time ? list.shift()! : null;
  }
}
