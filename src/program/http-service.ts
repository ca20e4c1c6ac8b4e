import { bodyLength, describeStatus, formatHead, type HttpHead, HttpReader, keepsAlive } from "../wire/http-message.ts";
import { bytesOf } from "../wire/text.ts";
import type { Stream, StreamSocket } from "./stream.ts";

export interface Received {
  readonly head: HttpHead;
  readonly method: string;
  readonly target: string;
  /** A letter for each byte. */
  readonly body: string;
}

export interface Answering {
  readonly status: number;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
}

/** Answers the requests of one connection, one after the other, each when `respond` is called. */
export class HttpService {
  /** The client is gone. */
  onGone: (() => void) | null = null;
  private head: HttpHead | null = null;
  private body = "";
  private over = false;

  constructor(
    private readonly stream: Stream<StreamSocket>,
    private readonly handle: (request: Received, respond: (answer: Answering) => void) => void,
  ) {
    const reader = new HttpReader({
      head: (head) => {
        this.head = head;
        this.body = "";
        return bodyLength(head, "request") ?? 0;
      },
      body: (data) => {
        for (const byte of data) this.body += String.fromCharCode(byte);
      },
      end: () => this.take(),
      bad: () => {
        this.head = null;
        this.respond({ status: 400 });
      },
    });
    stream.onData = (data) => reader.push(data);
    stream.onEnd = () => this.end();
    stream.onError = () => this.end();
  }

  start(): this {
    this.stream.start();
    return this;
  }

  /** A piece of a body that has no end yet, as `GET /events` has it. */
  push(chunk: string): void {
    if (!this.over) this.stream.write(bytesOf(`${chunk.length.toString(16)}\r\n${chunk}\r\n`));
  }

  private take(): void {
    const head = this.head!;
    const [method = "", target = ""] = head.start.split(" ");
    this.handle({ head, method, target, body: this.body }, (answer) => this.respond(answer));
  }

  /** Without a body of its own it is told what the status means; `Transfer-Encoding: chunked` leaves it to {@link push}. */
  private respond({ status, headers = [], body = "" }: Answering): void {
    if (this.over) return;
    const { head } = this;
    const last = head === null || !keepsAlive(head);
    const open = headers.some(([name]) => name === "Transfer-Encoding");
    const length: readonly (readonly [string, string])[] =
      open || status === 204 || status === 304 ? [] : [["Content-Length", `${body.length}`]];
    const close: readonly (readonly [string, string])[] = last ? [["Connection", "close"]] : [];
    const text = formatHead({
      start: `HTTP/1.1 ${describeStatus(status)}`,
      headers: [...headers, ...length, ...close],
    });
    this.stream.write(bytesOf(text + (head?.start.startsWith("HEAD ") ? "" : body)));
    if (last) this.end();
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.onGone?.();
    this.stream.close();
  }
}
