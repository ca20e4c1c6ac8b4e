import { type BodyLength, bodyLength, formatHead, type HttpHead, HttpReader } from "../wire/http-message.ts";
import { bytesOf } from "../wire/text.ts";
import type { Stream, StreamSocket } from "./stream.ts";

export interface HttpRequest {
  readonly method: string;
  /** The request target: a path with its query, or a whole URL for a proxy. */
  readonly target: string;
  readonly host: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string | null;
}

export interface HttpAnswer {
  readonly status: number;
  readonly head: HttpHead;
  /** A letter for each byte. */
  readonly body: string;
}

/** An answer that is told as it comes, for it may never end. */
export interface HttpStreaming {
  head(head: HttpHead, status: number): void;
  piece(text: string): void;
}

/** One request after the other on one connection. */
export class HttpClient {
  /** The connection ends before the answer does. */
  onBroken: ((why: string) => void) | null = null;
  private readonly reader: HttpReader;
  private answered: ((answer: HttpAnswer) => void) | null = null;
  private method = "";
  private head: HttpHead | null = null;
  private body = "";
  private streaming: HttpStreaming | null = null;

  constructor(private readonly stream: Stream<StreamSocket>) {
    this.reader = new HttpReader({
      head: (head) => this.readHead(head),
      body: (data) => {
        let text = "";
        for (const byte of data) text += String.fromCharCode(byte);
        if (this.streaming === null) this.body += text;
        else this.streaming.piece(text);
      },
      end: () => this.end(),
      bad: (what) => this.fail(what),
    });
    stream.onData = (data) => this.reader.push(data);
    stream.onEnd = () => {
      if (!this.reader.finish() || this.answered !== null) this.fail("EOF");
    };
    stream.onError = (errno) => this.fail(errno);
  }

  send({ method, target, host, headers = [], body = null }: HttpRequest, answered: (answer: HttpAnswer) => void): void {
    this.answered = answered;
    this.method = method;
    const content: readonly (readonly [string, string])[] =
      body === null
        ? method === "POST"
          ? [["Content-Length", "0"]]
          : []
        : [
            ["Content-Length", `${body.length}`],
            ["Content-Type", "application/json"],
          ];
    const head = { start: `${method} ${target} HTTP/1.1`, headers: [["Host", host] as const, ...headers, ...content] };
    this.stream.write(bytesOf(formatHead(head) + (body ?? "")));
    this.stream.start();
  }

  /** `ended` when there is no more. */
  follow(request: HttpRequest, streaming: HttpStreaming, ended: () => void): void {
    this.streaming = streaming;
    this.send(request, () => {
      this.streaming = null;
      ended();
    });
  }

  close(): void {
    this.onBroken = null;
    this.answered = null;
    this.stream.close();
  }

  private readHead(head: HttpHead): BodyLength {
    this.head = head;
    this.body = "";
    const status = statusOf(head);
    this.streaming?.head(head, status);
    if (this.method === "HEAD" || status === 204 || status === 304) return 0;
    return bodyLength(head, "response") ?? "close";
  }

  private end(): void {
    const { head, body, answered } = this;
    if (head === null || answered === null) return;
    this.answered = null;
    this.head = null;
    answered({ status: statusOf(head), head, body });
  }

  private fail(why: string): void {
    if (this.answered === null) return;
    this.answered = null;
    this.onBroken?.(why);
  }
}

const statusOf = ({ start }: HttpHead): number => Number(/^HTTP\/\d\.\d (\d{3})/.exec(start)?.[1] ?? 0);
