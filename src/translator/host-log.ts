import type { Errno, IcmpError } from "../kernel/protocol.ts";
import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import type {
  Endpoint,
  HostDatagramEvents,
  HostDatagrams,
  HostFailure,
  HostListener,
  HostPing,
  HostPingEvents,
  HostSockets,
  HostStream,
  HostStreamEvents,
} from "./host-sockets.ts";

/**
 * A log of all that a host's sockets said, a line each, in order: what they answered to a call (`= CALL ANSWER...`), and
 * what happened to them (`SOCKET EVENT...`). With it a run can be had again without the host.
 */
export type Log = (line: string) => void;

const formatEndpoint = ({ address, port }: Endpoint): string => `${formatIpv4(address)}:${port}`;

function parseEndpoint(text: string): Endpoint {
  const colon = text.lastIndexOf(":");
  return { address: parseIpv4(text.slice(0, colon)), port: Number(text.slice(colon + 1)) };
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** `-` stands for no bytes. */
export function formatBytes(data: Uint8Array): string {
  let text = "";
  for (const byte of data) text += HEX[byte];
  return text === "" ? "-" : text;
}

/** @throws {RangeError} for what is none. */
export function parseBytes(text: string): Uint8Array {
  if (text === "-") return new Uint8Array(0);
  if (!/^([0-9a-f]{2})+$/.test(text)) throw new RangeError(`not bytes: ${text.slice(0, 40)}`);
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(i * 2, i * 2 + 2), 16));
}

function formatFailure({ errno, icmp }: HostFailure): string {
  if (icmp === null) return errno;
  return `${errno} ${icmp.type} ${icmp.code} ${icmp.information} ${formatIpv4(icmp.from)} ${icmp.ttl}`;
}

function parseFailure([errno, type, code, information, from, ttl]: readonly string[]): HostFailure {
  if (from === undefined) return { errno: errno as Errno, icmp: null };
  const icmp: IcmpError = {
    type: Number(type),
    code: Number(code),
    information: Number(information),
    from: parseIpv4(from),
    ttl: Number(ttl),
  };
  return { errno: errno as Errno, icmp };
}

// Writing.

/** A host whose sockets are listened to. */
export class RecordingHost implements HostSockets {
  private last = 0;

  constructor(
    private readonly host: HostSockets,
    private readonly log: Log,
  ) {}

  connect(to: Endpoint, ttl: number, events: HostStreamEvents, cause: number): HostStream | Errno {
    const { log } = this;
    const name = `s${++this.last}`;
    const stream = this.host.connect(
      to,
      ttl,
      recordStream(name, () => stream as HostStream, events, log),
      cause,
    );
    log(`= connect ${typeof stream === "string" ? stream : "ok"}`);
    return typeof stream === "string" ? stream : recordCalls(stream, log);
  }

  datagrams(local: Endpoint | null, peer: Endpoint | null, events: HostDatagramEvents): HostDatagrams | Errno {
    const { log } = this;
    const name = `d${++this.last}`;
    const socket = this.host.datagrams(local, peer, {
      received(data, from, cause) {
        log(`${name} received ${formatEndpoint(from)} ${formatBytes(data)}`);
        events.received(data, from, cause);
      },
      error(failure, to, cause) {
        log(`${name} error ${formatEndpoint(to)} ${formatFailure(failure)}`);
        events.error(failure, to, cause);
      },
    });
    log(`= datagrams ${typeof socket === "string" ? socket : formatEndpoint(socket.local)}`);
    if (typeof socket === "string") return socket;
    return {
      local: socket.local,
      send(data, to, ttl, cause) {
        const refused = socket.send(data, to, ttl, cause);
        log(`= send ${refused ?? "ok"}`);
        return refused;
      },
      close: () => socket.close(),
    };
  }

  ping(events: HostPingEvents): HostPing | null {
    const { log } = this;
    const name = `p${++this.last}`;
    const socket = this.host.ping({
      echo(from, sequence, data, cause) {
        log(`${name} echo ${formatIpv4(from)} ${sequence} ${formatBytes(data)}`);
        events.echo(from, sequence, data, cause);
      },
      error(failure, sequence, cause) {
        log(`${name} error ${sequence} ${formatFailure(failure)}`);
        events.error(failure, sequence, cause);
      },
    });
    log(`= ping ${socket?.identifier ?? "none"}`);
    if (socket === null) return null;
    return {
      identifier: socket.identifier,
      send(data, to, sequence, ttl, cause) {
        const refused = socket.send(data, to, sequence, ttl, cause);
        log(`= send ${refused ?? "ok"}`);
        return refused;
      },
      close: () => socket.close(),
    };
  }

  listen(at: Endpoint, accepted: (stream: HostStream, cause: number) => HostStreamEvents): HostListener | Errno {
    const { log } = this;
    const listening = `l${++this.last}`;
    const listener = this.host.listen(at, (stream, cause) => {
      const name = `s${++this.last}`;
      log(`${listening} accepted ${name} ${formatEndpoint(stream.local)} ${formatEndpoint(stream.peer)}`);
      return recordStream(name, () => stream, accepted(recordCalls(stream, log), cause), log);
    });
    log(`= listen ${typeof listener === "string" ? listener : formatEndpoint(listener.local)}`);
    return listener;
  }
}

function recordStream(name: string, stream: () => HostStream, events: HostStreamEvents, log: Log): HostStreamEvents {
  return {
    connected(cause) {
      log(`${name} connected ${formatEndpoint(stream().local)}`);
      events.connected(cause);
    },
    failed(failure, cause) {
      log(`${name} failed ${formatFailure(failure)}`);
      events.failed(failure, cause);
    },
    readable(cause) {
      log(`${name} readable`);
      events.readable(cause);
    },
    writable(cause) {
      log(`${name} writable`);
      events.writable(cause);
    },
    closed(errno, cause) {
      log(`${name} closed ${errno ?? "-"}`);
      events.closed(errno, cause);
    },
  };
}

function recordCalls(stream: HostStream, log: Log): HostStream {
  return {
    get local() {
      return stream.local;
    },
    get peer() {
      return stream.peer;
    },
    read(most) {
      const data = stream.read(most);
      log(`= read ${data === null ? "end" : formatBytes(data)}`);
      return data;
    },
    write(data, cause) {
      const taken = stream.write(data, cause);
      log(`= write ${taken}`);
      return taken;
    },
    end: (cause) => stream.end(cause),
    destroy: (cause) => stream.destroy(cause),
  };
}

// Reading.

/** Takes the lines of a log one after the other. */
export class LogReader {
  private next = 0;

  constructor(private readonly lines: readonly string[]) {}

  /** The next line without taking it; null behind the last. */
  get line(): string | null {
    return this.lines[this.next] ?? null;
  }

  take(): string | null {
    return this.lines[this.next++] ?? null;
  }

  /** What this call answered. @throws {RangeError} where the log tells of something else. */
  answer(call: string): string[] {
    const at = this.next;
    const [mark, name, ...words] = this.take()?.split(" ") ?? [];
    if (mark === "=" && name === call) return words;
    throw new RangeError(`the run departs from its recording at event ${at + 1}: it calls ${call}()`);
  }
}

/** A host that says again what a log tells. */
export class RecordedHost implements HostSockets {
  private last = 0;
  private readonly streams = new Map<string, RecordedStream>();
  private readonly datagramEvents = new Map<string, HostDatagramEvents>();
  private readonly pings = new Map<string, HostPingEvents>();
  private readonly listeners = new Map<string, (stream: HostStream, cause: number) => HostStreamEvents>();

  constructor(private readonly log: LogReader) {}

  /** Makes an event of the log happen. @throws {RangeError} for one that cannot. */
  happen(line: string): void {
    const [name = "", event = "", ...words] = line.split(" ");
    const stream = this.streams.get(name);
    const datagrams = this.datagramEvents.get(name);
    const ping = this.pings.get(name);
    const accepted = this.listeners.get(name);
    if (stream !== undefined) stream.happen(event, words);
    else if (datagrams !== undefined) {
      const where = parseEndpoint(words[0]!);
      if (event === "received") datagrams.received(parseBytes(words[1]!), where, 0);
      else datagrams.error(parseFailure(words.slice(1)), where, 0);
    } else if (ping !== undefined) {
      if (event === "echo") ping.echo(parseIpv4(words[0]!), Number(words[1]), parseBytes(words[2]!), 0);
      else ping.error(parseFailure(words.slice(1)), Number(words[0]), 0);
    } else if (accepted !== undefined) {
      const accept = new RecordedStream(this.log, parseEndpoint(words[1]!), parseEndpoint(words[2]!));
      this.streams.set(`s${++this.last}`, accept);
      accept.events = accepted(accept, 0);
    } else throw new RangeError(`the recording tells of a socket ${name} that the run has not opened`);
  }

  connect(to: Endpoint, _ttl: number, events: HostStreamEvents): HostStream | Errno {
    const name = `s${++this.last}`;
    const [answer] = this.log.answer("connect");
    if (answer !== "ok") return answer as Errno;
    const stream = new RecordedStream(this.log, { address: 0, port: 0 }, to);
    stream.events = events;
    this.streams.set(name, stream);
    return stream;
  }

  datagrams(_local: Endpoint | null, _peer: Endpoint | null, events: HostDatagramEvents): HostDatagrams | Errno {
    const name = `d${++this.last}`;
    const [answer = ""] = this.log.answer("datagrams");
    if (!answer.includes(":")) return answer as Errno;
    this.datagramEvents.set(name, events);
    return {
      local: parseEndpoint(answer),
      send: () => this.sent(),
      close: () => this.datagramEvents.delete(name),
    };
  }

  ping(events: HostPingEvents): HostPing | null {
    const name = `p${++this.last}`;
    const [answer] = this.log.answer("ping");
    if (answer === "none") return null;
    this.pings.set(name, events);
    return { identifier: Number(answer), send: () => this.sent(), close: () => this.pings.delete(name) };
  }

  listen(_at: Endpoint, accepted: (stream: HostStream, cause: number) => HostStreamEvents): HostListener | Errno {
    const name = `l${++this.last}`;
    const [answer = ""] = this.log.answer("listen");
    if (!answer.includes(":")) return answer as Errno;
    this.listeners.set(name, accepted);
    return { local: parseEndpoint(answer), close: () => this.listeners.delete(name) };
  }

  private sent(): Errno | null {
    const [answer] = this.log.answer("send");
    return answer === "ok" ? null : (answer as Errno);
  }
}

class RecordedStream implements HostStream {
  events!: HostStreamEvents;

  constructor(
    private readonly log: LogReader,
    public local: Endpoint,
    readonly peer: Endpoint,
  ) {}

  happen(event: string, words: readonly string[]): void {
    switch (event) {
      case "connected":
        this.local = parseEndpoint(words[0]!);
        this.events.connected(0);
        break;
      case "failed":
        this.events.failed(parseFailure(words), 0);
        break;
      case "readable":
        this.events.readable(0);
        break;
      case "writable":
        this.events.writable(0);
        break;
      case "closed":
        this.events.closed(words[0] === "-" ? null : (words[0] as Errno), 0);
        break;
      default:
        throw new RangeError(`a recording tells of no ${event} of a connection`);
    }
  }

  read(): Uint8Array | null {
    const [answer = ""] = this.log.answer("read");
    return answer === "end" ? null : parseBytes(answer);
  }

  write(): number {
    return Number(this.log.answer("write")[0]);
  }

  end(): void {}

  destroy(): void {}
}
