/** A request or response before its body (RFC 9112 section 2). */
export interface HttpHead {
  /** `GET / HTTP/1.1` or `HTTP/1.1 200 OK`. */
  readonly start: string;
  readonly headers: readonly (readonly [string, string])[];
}

/** How long a body is: bytes, or as its chunks say, or as long as the connection lasts. */
export type BodyLength = number | "chunked" | "close";

const MOST_HEAD = 65_536;
const MOST_CHUNK = 0x7fffffff;

/** The value of a header, whatever the case of its name; null where it is not there. */
export function header({ headers }: HttpHead, name: string): string | null {
  return headers.find(([each]) => each.toLowerCase() === name)?.[1] ?? null;
}

export function formatHead({ start, headers }: HttpHead): string {
  return `${[start, ...headers.map(([name, value]) => `${name}: ${value}`)].join("\r\n")}\r\n\r\n`;
}

/** The head of a message from its text without the empty line; null for one that is none. */
export function parseHead(text: string): HttpHead | null {
  const [start = "", ...lines] = text.split(/\r?\n/);
  const headers: (readonly [string, string])[] = [];
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) return null;
    headers.push([name, value!]);
  }
  return start === "" ? null : { start, headers };
}

const STATUS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  204: "No Content",
  301: "Moved Permanently",
  304: "Not Modified",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** `200 OK`. */
export const describeStatus = (status: number): string => `${status} ${STATUS[status] ?? "Unknown"}`;

/** A whole answer that says why there is no better one, and ends the connection. */
export function formatRefusal(status: number, why: string): string {
  const body = `${why}\n`;
  const headers = [
    ["Content-Type", "text/plain"],
    ["Content-Length", `${body.length}`],
    ["Connection", "close"],
  ] as const;
  return formatHead({ start: `HTTP/1.1 ${describeStatus(status)}`, headers }) + body;
}

/** Whether another request may follow on the connection. */
export function keepsAlive(head: HttpHead): boolean {
  const word = (header(head, "connection") ?? "").toLowerCase();
  return /(^| )HTTP\/1\.1( |$)/.test(head.start) ? word !== "close" : word === "keep-alive";
}

/** RFC 9112 section 6.3; null where it says nothing that can be. */
export function bodyLength(head: HttpHead, kind: "request" | "response"): BodyLength | null {
  if (header(head, "transfer-encoding")?.toLowerCase().split(",").at(-1)?.trim() === "chunked") return "chunked";
  const length = header(head, "content-length");
  if (length === null) return kind === "request" ? 0 : "close";
  return /^\d{1,15}$/.test(length) ? Number(length) : null;
}

/** What a reader of messages tells. */
export interface HttpEvents {
  /** The answer says how long the body is; "tunnel" passes on everything that follows. */
  head(head: HttpHead): BodyLength | "tunnel";
  body(data: Uint8Array): void;
  end(): void;
  /** These bytes are no message; nothing more is read. */
  bad(what: string): void;
}

/** Reads the messages of one connection, however its bytes are cut. */
export class HttpReader {
  /** Before a message, inside its head, in its body or its parts, or past the last byte that means anything. */
  private state: "start" | "head" | "body" | "size" | "chunk" | "chunk-end" | "trailer" | "raw" | "bad" = "start";
  private text = "";
  /** Bytes of the body, or of the chunk, that are still to come. */
  private left = 0;

  constructor(private readonly events: HttpEvents) {}

  /** True while nothing of a message has arrived. */
  get idle(): boolean {
    return this.state === "start";
  }

  /** What came was no message. */
  get failed(): boolean {
    return this.state === "bad";
  }

  /** Bytes of the body that are missing; null where nobody said how many there are. */
  get missing(): number | null {
    return this.state === "body" ? this.left : null;
  }

  push(data: Uint8Array): void {
    for (let at = 0; at < data.length; ) at += this.take(data, at);
  }

  /** Reads no further than the end of a message; how many bytes that took. */
  pushMessage(data: Uint8Array): number {
    let at = 0;
    do at += this.take(data, at);
    while (at < data.length && this.state !== "start");
    return at;
  }

  /** The connection has ended. True where that ends the message, too. */
  finish(): boolean {
    if (this.state !== "raw") return this.state === "start";
    this.state = "start";
    this.events.end();
    return true;
  }

  /** Answers how many bytes it took. */
  private take(data: Uint8Array, at: number): number {
    switch (this.state) {
      case "start":
      case "head":
        return this.takeLine(data, at);
      case "size":
      case "chunk-end":
      case "trailer":
        return this.takeLine(data, at);
      case "body":
      case "chunk": {
        const taken = Math.min(this.left, data.length - at);
        this.left -= taken;
        this.events.body(data.subarray(at, at + taken));
        if (this.left === 0) this.endPart();
        return taken;
      }
      case "raw":
        this.events.body(data.subarray(at));
        return data.length - at;
      default:
        return data.length - at;
    }
  }

  private endPart(): void {
    if (this.state === "chunk") this.state = "chunk-end";
    else this.endMessage();
  }

  private endMessage(): void {
    this.state = "start";
    this.events.end();
  }

  /** Collects the text of a head, or one line of a chunked body. */
  private takeLine(data: Uint8Array, from: number): number {
    const whole = this.state === "start" || this.state === "head";
    if (whole) this.state = "head";
    for (let at = from; at < data.length; at++) {
      this.text += String.fromCharCode(data[at]!);
      if (data[at] !== 10) continue;
      if (whole ? !/\n\r?\n$/.test(this.text) && !/^\r?\n$/.test(this.text) : false) continue;
      const text = this.text.replace(/(\r?\n)+$/, "");
      this.text = "";
      if (whole) this.readHead(text);
      else this.readLine(text);
      return at + 1 - from;
    }
    if (this.text.length > MOST_HEAD) this.refuse("a head or a line that is too long");
    return data.length - from;
  }

  private readHead(text: string): void {
    if (text === "") {
      this.state = "start";
      return;
    }
    const head = parseHead(text);
    if (head === null) {
      this.refuse("a head that is none");
      return;
    }
    const length = this.events.head(head);
    if (this.state === "bad") return;
    if (length === "tunnel" || length === "close") this.state = "raw";
    else if (length === "chunked") this.state = "size";
    else if (length === 0) this.endMessage();
    else {
      this.state = "body";
      this.left = length;
    }
  }

  private readLine(text: string): void {
    if (this.state === "chunk-end") {
      if (text === "") this.state = "size";
      else this.refuse("a chunk that is longer than it says");
    } else if (this.state === "trailer") {
      if (text === "") this.endMessage();
    } else {
      const [, digits] = /^([0-9A-Fa-f]{1,8})[ \t]*(;.*)?$/.exec(text) ?? [];
      const size = digits === undefined ? -1 : Number.parseInt(digits, 16);
      if (size < 0 || size > MOST_CHUNK) this.refuse("a chunk without its size");
      else if (size === 0) this.state = "trailer";
      else {
        this.state = "chunk";
        this.left = size;
      }
    }
  }

  private refuse(what: string): void {
    this.state = "bad";
    this.events.bad(what);
  }
}
