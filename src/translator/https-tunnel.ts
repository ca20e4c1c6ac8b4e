import { formatIpv4 } from "../wire/address.ts";
import { HttpReader } from "../wire/http-message.ts";
import { bytesOf } from "../wire/text.ts";
import type { Endpoint, HostStream, HostStreamEvents } from "./host-sockets.ts";
import { Outbox } from "./local-service.ts";
import type { Translator } from "./translator.ts";

/** Most that is read of the proxy's answer at once, bytes. */
const CHUNK = 65_536;

/**
 * A TLS connection cannot be read: a proxy outside is asked for a tunnel to the address (`tunnel_https_over_connect`).
 * Whatever the proxy answers, what follows is the guest's.
 */
export class TunnelStream implements HostStream {
  readonly local: Endpoint;
  private readonly outer: HostStream | null;
  private readonly early = new Outbox();
  private readonly answer: HttpReader;
  /** The proxy has answered. */
  private standing = false;
  private finished = false;

  constructor(
    translator: Translator,
    proxy: Endpoint,
    readonly peer: Endpoint,
    private readonly events: HostStreamEvents,
    cause: number,
  ) {
    this.local = peer;
    const name = `${formatIpv4(peer.address)}:${peer.port}`;
    const request = bytesOf(`CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
    this.answer = new HttpReader({
      head: () => {
        this.standing = true;
        return "tunnel";
      },
      body: (data) => this.early.add(data.slice()),
      end() {},
      bad() {},
    });
    const outer = translator.host.connect(
      proxy,
      0,
      {
        connected: (because) => void this.outer!.write(request, because),
        failed: (_failure, because) => this.finish(because),
        readable: (because) => {
          if (this.standing || this.readAnswer(because)) events.readable(because);
        },
        writable: (because) => events.writable(because),
        closed: (errno, because) => events.closed(errno, because),
      },
      cause,
    );
    this.outer = typeof outer === "string" ? null : outer;
    this.finished = this.outer === null;
  }

  write(data: Uint8Array, cause: number): number {
    if (this.finished) return data.length;
    return this.standing ? this.outer!.write(data, cause) : 0;
  }

  read(most: number): Uint8Array | null {
    if (!this.early.isEmpty) return this.early.take(most);
    if (this.finished) return null;
    return this.standing ? this.outer!.read(most) : this.early.take(most);
  }

  end(cause: number): void {
    if (this.standing) this.outer!.end(cause);
    else this.finish(cause);
  }

  destroy(cause: number): void {
    this.outer?.destroy(cause);
  }

  /** True once the head of the answer is read. */
  private readAnswer(cause: number): boolean {
    const bytes = this.outer!.read(CHUNK);
    if (bytes !== null) this.answer.push(bytes);
    if (bytes === null || this.answer.failed) this.finish(cause);
    if (!this.standing) return false;
    this.events.writable(cause);
    return true;
  }

  private finish(cause: number): void {
    if (this.finished) return;
    this.finished = true;
    this.outer?.destroy(cause);
    this.events.writable(cause);
    this.events.readable(cause);
  }
}
