import { Headers } from "./headers.ts";
import { birthHeaders, icmpName, kindOf } from "./packet-title.ts";
import { REASON_TEXT } from "./reason-text.ts";
import { callText, endpointText, flowText, routeText, setText, socketText } from "./step-text.ts";
import type { Telling } from "./story.ts";
import { frameEntries, headerTexts } from "./story-bytes.ts";
import { HookStory } from "./story-hook.ts";
import { type Entry, formatTime, type Role } from "./story-line.ts";
import type { Hop, PacketTrace, Step, StepOf } from "./trace.ts";

const CONSUMED: Readonly<Record<string, string>> = {
  ARP: "by ARP",
  fragmentation: "its fragments go on",
  segmentation: "its segments go on",
  reassembly: "becomes part of a whole datagram",
  "ICMP error": "by the kernel, which tells the socket that this error is about",
};

/** Tells one packet's journey, one line a step. */
export class PacketStory {
  readonly entries: Entry[] = [];
  private readonly headers = new Headers();
  private hop: Hop | null = null;
  private arrives = false;
  /** The steps of the hook that the packet is in; null outside. */
  private inside: { readonly hook: string; readonly steps: Step[]; readonly aside: Step[] } | null = null;
  /** The end of that hook, behind which its flow may still be confirmed. */
  private leaving: StepOf<"hook"> | null = null;
  private decision = "";
  private looked = false;
  /** The hook just left, if nothing happened in it. */
  private empty: string | null = null;
  private neighbour: StepOf<"neighbour"> | null = null;
  /** The bridge that passes the frame up, whose own reception needs no line. */
  private passedUp: string | null = null;
  private readonly told = new Set<number>();

  constructor(
    private readonly packet: PacketTrace,
    private readonly telling: Telling,
  ) {
    for (const hop of packet.hops) {
      this.hop = hop;
      this.arrives = true;
      for (const step of hop.steps) this.step(step);
      this.leaveHook();
    }
    if (packet.disposition.kind === "queued") {
      const { time, where } = packet.disposition;
      this.say(
        time,
        "queued",
        `still under way${where?.device ? ` at ${where.device}` : ""} when the trace ends`,
        "drop",
      );
    }
  }

  private say(time: number, subject: string, text: string, role: Role = "text", depth = 0): void {
    const { namespace } = this.hop!;
    this.entries.push({ namespace, subject, text, role, time, depth, arrives: this.arrives });
    this.arrives = false;
  }

  private step(step: Step): void {
    this.headers.apply(step);
    if (step.kind === "conntrack" && step.change === "confirm" && this.inside !== null) this.inside.steps.push(step);
    else if (this.leaving !== null) this.leaveHook();
    if (step.kind === "conntrack" && step.change === "confirm") return;
    if (step.kind === "hook" && step.family === "ip") {
      if (step.passage === "leave") this.leaving = step;
      else this.inside = { hook: step.hook.toUpperCase(), steps: [], aside: [] };
    } else if (this.inside === null) this.outside(step);
    else if (step.kind === "delivered" || step.kind === "consumed" || step.kind === "dropped") {
      this.leaveHook();
      this.outside(step);
    } else if (step.kind === "error") this.inside.aside.push(step);
    else this.inside.steps.push(step);
  }

  private leaveHook(): void {
    const inside = this.inside;
    if (inside === null) return;
    this.inside = null;
    const story = new HookStory(inside.steps, this.headers, inside.hook);
    this.decision = story.decision;
    for (const { time, text, role, depth } of story.lines) this.say(time, inside.hook, text, role, depth);
    this.empty = story.lines.length === 0 ? inside.hook : null;
    for (const step of inside.aside) this.outside(step);
    if (this.leaving !== null) this.passed(this.leaving);
    this.leaving = null;
  }

  private passed(step: StepOf<"hook">): void {
    if (this.telling.level === "byte" && this.empty !== null)
      this.say(step.time, this.empty, "no table and no tracker looks at it");
    this.empty = null;
  }

  private outside(step: Step): void {
    const { time } = step;
    switch (step.kind) {
      case "born":
        if (step.origin === "cloned") this.say(time, "copied", `from ${this.telling.link(step.parent)}`);
        else if (step.origin === "injected") this.say(time, "injected", "from outside the simulation");
        break;
      case "ipv4":
        this.look(step);
        break;
      case "route":
        this.say(time, "route", routeText(step, this.headers));
        break;
      case "set":
        this.say(time, step.field === "ttl" ? "forward" : "set", setText(step), "change");
        break;
      case "fragment":
        this.say(time, "fragment", `cut into ${step.fragments} fragments of at most ${step.mtu} bytes`, "change");
        break;
      case "segment":
        this.say(
          time,
          "segment",
          `cut into ${step.segments} segments of at most ${step.bytes} bytes of data`,
          "change",
        );
        break;
      case "reassemble":
        this.say(time, "reassemble", `the last fragment is here: one datagram of ${step.bytes} bytes`, "change");
        break;
      case "error":
        this.error(step);
        break;
      case "program":
        this.say(time, "program", step.line);
        break;
      case "socket":
        this.say(time, "socket", socketText(step), step.change === "fails" ? "drop" : "event");
        break;
      case "endpoint":
      case "flow":
      case "call":
      case "translator":
        this.translated(step);
        break;
      default:
        this.onLink(step, step.where?.device ?? "");
        this.end(step);
    }
  }

  /** What a translator does with a frame of its guest. */
  private translated(step: StepOf<"endpoint"> | StepOf<"flow"> | StepOf<"call"> | StepOf<"translator">): void {
    if (step.kind === "translator") this.say(step.time, "translator", step.line, "change");
    else if (step.kind === "endpoint") this.say(step.time, "endpoint", endpointText(step));
    else if (step.kind === "flow") this.say(step.time, "flow", flowText(step), "change");
    else this.say(step.time, "socket", callText(step), step.result === "" ? "text" : "drop");
  }

  /** What devices, bridges, cables and neighbours do. */
  private onLink(step: Step, device: string): void {
    const { time } = step;
    switch (step.kind) {
      case "tx":
        this.send(step, device);
        break;
      case "rx":
        this.receive(step, device);
        break;
      case "learn":
        this.say(time, device, `${step.how}: ${step.address} is behind ${step.port}`);
        break;
      case "bridge":
        this.bridge(step, device);
        break;
      case "readdress":
        this.say(time, device, `the frame now goes to ${step.destination}, for NAT changed its destination`, "change");
        break;
      case "neighbour":
        this.neighbour = step;
        break;
      case "queue":
        this.say(time, device, `waits: which MAC address has ${step.address}? ${this.askedIn(step)}`);
        break;
      case "impairment": {
        const by = step.nanoseconds > 0 ? ` by ${formatTime(step.nanoseconds)}` : "";
        this.say(time, "cable", step.what + by, "change");
        break;
      }
    }
  }

  /** The sizes that a packet is born with. */
  private look(step: StepOf<"ipv4">): void {
    if (this.packet.origin !== "generated" || this.looked) return;
    this.looked = true;
    const words = [`${step.length} bytes`, `ttl ${step.ttl}`];
    if (step.tos !== 0) words.push(`tos 0x${step.tos.toString(16)}`);
    if (step.dontFragment) words.push("don't fragment");
    this.say(step.time, "sends", words.join(", "));
  }

  private send(step: StepOf<"tx">, device: string): void {
    const known = this.neighbour;
    this.neighbour = null;
    const who = known === null ? "" : ` (${known.address}${known.state === "REACHABLE" ? "" : `, ${known.state}`})`;
    const to = step.destination === "ff:ff:ff:ff:ff:ff" ? "everybody" : step.destination;
    this.say(step.time, `${device} >`, device === "lo" ? "loops back" : `${step.bytes}-byte frame to ${to}${who}`);
    this.bytes(step, "out");
  }

  private receive(step: StepOf<"rx">, device: string): void {
    if (this.passedUp !== device || this.telling.level === "byte") {
      const group = step.type === "broadcast" || step.type === "multicast" ? `, ${step.type}` : "";
      this.say(step.time, `> ${device}`, `${step.bytes}-byte frame${group}`);
      this.bytes(step, "in");
    }
    this.passedUp = null;
  }

  private bytes(step: StepOf<"tx"> | StepOf<"rx">, direction: "in" | "out"): void {
    if (this.telling.level !== "byte") return;
    const subject = this.entries[this.entries.length - 1]!.subject;
    for (const text of headerTexts(this.headers)) this.say(step.time, subject, text, "bytes");
    this.entries.push(...frameEntries(this.telling.frame(step, direction), step.time));
  }

  private bridge(step: StepOf<"bridge">, device: string): void {
    if (step.decision === "forward") this.say(step.time, device, `forwards to its port ${step.port}`);
    else if (step.decision === "up") {
      this.passedUp = device;
      const { ethernet } = this.headers;
      const group = ethernet !== null && (Number.parseInt(ethernet.destination.slice(0, 2), 16) & 1) === 1;
      this.say(step.time, device, group ? "goes up to the host, too" : "for the bridge itself: goes up to the host");
    } else {
      const copies = this.copies(step);
      const list = copies.length > 0 ? ` (copies: ${copies.map((id) => `#${id}`).join(", ")})` : "";
      this.say(step.time, device, `floods to all its other ports${list}`);
    }
  }

  /** The copies made by one flooding: those born behind it, and before the bridge decides again. */
  private copies(flood: Step): readonly number[] {
    const again = this.hop!.steps.find(
      (step) => step.kind === "bridge" && step.decision === "flood" && step.row > flood.row,
    );
    return this.packet.children.filter((id) => {
      const born = this.telling.trace.byId.get(id)!.hops[0]!.steps[0]!;
      return (
        born.kind === "born" && born.origin === "cloned" && born.row > flood.row && born.row < (again?.row ?? Infinity)
      );
    });
  }

  private askedIn(step: StepOf<"queue">): string {
    const asked = this.packet.children.find((id) => {
      const { hops } = this.telling.trace.byId.get(id)!;
      const { arp } = birthHeaders(this.telling.trace.byId.get(id)!);
      return arp?.target === step.address && hops[0]!.steps[0]!.row > step.row;
    });
    if (asked === undefined) return "(already asked)";
    this.told.add(asked);
    return `asks in #${asked}`;
  }

  private error(step: StepOf<"error">): void {
    const name = `ICMP ${icmpName(step.type, step.code)}`;
    if (step.outcome === "sent") {
      this.told.add(step.error);
      this.say(step.time, "icmp", `tells the sender: #${step.error} ${name}`, "event");
    } else this.say(step.time, "icmp", `${name} is not sent: ${step.outcome}`);
  }

  private end(step: Step): void {
    if (step.kind === "delivered") this.say(step.time, "delivered", `to ${step.to}${this.answers()}`, "accept");
    else if (step.kind === "consumed")
      this.say(step.time, "consumed", `${CONSUMED[step.by] ?? step.by}${this.answers()}`, "accept");
    else if (step.kind === "dropped") {
      const by = step.reason === "NETFILTER_DROP" && this.decision !== "" ? ` by ${this.decision}` : "";
      this.say(step.time, "dropped", `${step.reason}${by}: ${REASON_TEXT[step.reason]}${this.answers()}`, "drop");
    }
  }

  /** The packets that this one led to and that no line has named yet. */
  private answers(): string {
    const { byId } = this.telling.trace;
    const links = this.packet.children
      .filter((id) => !this.told.has(id) && byId.get(id)!.origin === "generated")
      .filter((id) => kindOf(birthHeaders(byId.get(id)!)) !== "ARP request");
    return links.length === 0 ? "" : `: ${links.map((id) => this.telling.link(id)).join(", ")}`;
  }
}
