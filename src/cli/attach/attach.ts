import { readFileSync, writeFileSync } from "node:fs";
import type { ImpairmentSpec } from "../../scenario/format.ts";
import { formatLiveScenario, frameEvent, fullAnswer, type LivePlan, LiveWorld } from "../../scenario/live.ts";
import { parseScenario } from "../../scenario/scenario.ts";
import { formatJsonLines } from "../../trace/json-lines.ts";
import { formatStory } from "../../trace/story.ts";
import { readTrace } from "../../trace/trace.ts";
import type { FrameLink } from "../../translator/frame-link.ts";
import { RecordingHost } from "../../translator/host-log.ts";
import { PRESETS, type PresetName } from "../../translator/preset.ts";
import { formatPublishedPort, parsePublishedPort } from "../../translator/published-ports.ts";
import { InputError } from "../../wire/input-error.ts";
import { LiveClock } from "./clock.ts";
import { serveDatagrams } from "./datagram-link.ts";
import { type Place, parsePlace } from "./place.ts";
import { RealHost } from "./real-host.ts";
import { type GuestEvents, serveStream } from "./stream-link.ts";

export interface AttachOptions extends ImpairmentSpec {
  readonly qemu?: string;
  readonly vmnet?: string;
  readonly datagram?: string;
  readonly preset: PresetName;
  readonly seed?: number;
  readonly allow: readonly string[];
  /** `[ADDR:]PORT:GUEST[:PORT][/udp]`. */
  readonly publish: readonly string[];
  /** Names of `--dns`: the servers that questions go on to. */
  readonly dns: readonly string[];
  readonly boot?: string;
  readonly record?: string;
  readonly trace?: string;
  readonly format: "text" | "json";
  /** Seconds; absent for "until it is interrupted, or the guest leaves". */
  readonly for?: number;
}

const IMPAIRMENTS = ["delay", "jitter", "loss", "duplicate", "reorder", "corrupt"] as const;

const say = (text: string): void => void process.stderr.write(`hopscope: ${text}\n`);

/** `hopscope attach`: serves a real guest until it leaves, the time is over or someone interrupts. @throws {InputError} */
export async function attach(options: AttachOptions): Promise<number> {
  const session = new Session(options);
  const end = await session.run();
  session.finish();
  return end === "fault" ? 1 : 0;
}

function planOf(options: AttachOptions): LivePlan {
  const impairment: Record<string, string> = {};
  for (const key of IMPAIRMENTS) if (options[key] !== undefined) impairment[key] = options[key];
  const resolv = options.dns.length > 0 ? options.dns.map((server) => `nameserver ${server}\n`).join("") : null;
  return {
    preset: options.preset,
    seed: options.seed ?? 1,
    allow: options.allow,
    publish: options.publish.map(publishedPort),
    boot: options.boot ?? null,
    impairment,
    files: {
      "/etc/resolv.conf": resolv ?? contents("/etc/resolv.conf"),
      "/etc/hosts": contents("/etc/hosts"),
    },
  };
}

/** `-p` of Docker with the guest's address, on 127.0.0.1 where it names no other. @throws {InputError}. */
function publishedPort(text: string): string {
  const match = /^(?:([\d.]+):)?(\d{1,5}):([\d.]+)(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(text);
  const [, address = "127.0.0.1", port = "", guest = "", inside = port, protocol = "tcp"] = match ?? [];
  const published = `${protocol}:${address}:${port}:${protocol}:${guest}:${inside}`;
  try {
    if (match === null) throw new RangeError("[ADDRESS:]PORT:GUEST[:PORT], with /udp for datagrams");
    return formatPublishedPort(parsePublishedPort(published));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError({ file: "--publish", line: 1, column: 1 }, `"${text}"`, error.message);
  }
}

function contents(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function placeOf(option: string, text: string): Place {
  try {
    return parsePlace(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError({ file: `--${option}`, line: 1, column: 1 }, `"${text}"`, error.message);
  }
}

class Session {
  private readonly plan: LivePlan;
  private readonly live: LiveWorld;
  private readonly clock: LiveClock;
  private readonly log: string[] | null;
  private link: FrameLink | null = null;
  private end: (why: "guest" | "time" | "fault") => void = () => {};
  private readonly servers: { close(): void }[] = [];

  constructor(private readonly options: AttachOptions) {
    this.plan = planOf(options);
    this.log = options.record === undefined ? null : [];
    const { material, seed } = parseScenario(formatLiveScenario(this.plan, "", null), "attach");
    const real = new RealHost((event) => this.clock.enter(event));
    this.live = new LiveWorld(material, seed, {
      sockets: this.log === null ? real : new RecordingHost(real, (line) => this.note(line)),
      toGuest: (frame) => this.toGuest(frame),
      refused: say,
    });
    if (options.trace !== undefined || options.record !== undefined) this.live.world.fabric.record();
    this.clock = new LiveClock(this.live);
  }

  /** Answers stand behind the call; events have their time. */
  private note(line: string): void {
    // Ports are published while the world is being built.
    const time = line.startsWith("= ") ? "" : `${this.live.world.fabric.scheduler.now} `;
    this.log!.push(time + line);
  }

  private toGuest(frame: Uint8Array): boolean {
    const taken = this.link?.send(frame) ?? false;
    if (!taken) this.log?.push(fullAnswer());
    return taken;
  }

  private fromGuest(frame: Uint8Array): void {
    this.clock.enter(() => {
      if (this.log !== null) this.note(frameEvent(frame));
      if (!this.live.fromGuest(frame)) say(`the guest sent ${frame.length} bytes, which is no Ethernet frame`);
    });
  }

  run(): Promise<"guest" | "time" | "fault"> {
    return new Promise((resolve, reject) => {
      this.end = resolve;
      this.serve(reject);
      const stop = () => resolve("time");
      process.once("SIGINT", stop);
      process.once("SIGTERM", stop);
      if (this.options.for !== undefined) setTimeout(stop, this.options.for * 1000).unref();
    });
  }

  private serve(failed: (error: Error) => void): void {
    const { qemu, vmnet, datagram } = this.options;
    const given = [qemu, vmnet, datagram].filter((each) => each !== undefined).length;
    if (given !== 1)
      throw new InputError(
        { file: "attach", line: 1, column: 1 },
        given === 0 ? "no link" : "several links",
        "one of --qemu, --vmnet and --datagram",
      );
    const protocol = qemu !== undefined ? "qemu" : vmnet !== undefined ? "vmnet" : "datagram";
    const at = placeOf(protocol, this.options[protocol]!);
    const events: GuestEvents = {
      listening: () => say(`listening on ${at.text} (${protocol}), at ${this.options.preset}'s addresses`),
      failed,
      attached: (link, who) => {
        this.link = link;
        link.onFrame = (frame) => this.fromGuest(frame);
        say(`a guest is attached (${who})`);
      },
      detached: (fault) => {
        this.link = null;
        say(fault === null ? "the guest has left" : `the guest is cut off: ${fault}`);
        this.end(fault === null ? "guest" : "fault");
      },
    };
    this.servers.push(this.server(protocol, at, events));
  }

  private server(protocol: "qemu" | "vmnet" | "datagram", at: Place, events: GuestEvents): { close(): void } {
    if (protocol === "datagram") {
      if (at.kind === "inet") return serveDatagrams(at.address, at.port, events);
      throw new InputError(
        { file: "--datagram", line: 1, column: 1 },
        `"${at.text}"`,
        "a PORT of 127.0.0.1, or ADDRESS:PORT, for Node has no unix datagrams",
      );
    }
    const { mac } = PRESETS[this.options.preset].addresses;
    const card = { kind: "vif", mtu: 1500, mac: { high: mac.high, low: (mac.low + 1) | 0 } } as const;
    return serveStream(protocol, at, events, () => card);
  }

  /** Stops time, and writes what was asked for. */
  finish(): void {
    const { options, live } = this;
    const until = this.clock.now;
    live.advance(until);
    this.clock.stop();
    for (const server of this.servers) server.close();
    this.link?.close();
    if (options.record !== undefined)
      writeFileSync(
        options.record,
        formatLiveScenario(this.plan, this.log!.map((line) => `${line}\n`).join(""), until),
      );
    const { trace: recorder, books } = live.world.fabric;
    if (options.trace !== undefined) {
      const trace = readTrace(recorder!);
      writeFileSync(options.trace, options.format === "json" ? formatJsonLines(trace) : formatStory(trace));
    }
    const { injected, delivered, consumed, dropped } = books;
    say(`${injected} frames in; ${delivered} delivered, ${consumed} consumed, ${dropped} dropped`);
  }
}
