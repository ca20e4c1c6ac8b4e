import { formatIpv4 } from "../wire/address.ts";
import type { Endpoint, HostStream, HostStreamEvents } from "./host-sockets.ts";
import { encode, Outbox } from "./local-service.ts";
import type { Translator } from "./translator.ts";

/** Longest head of the proxy's answer, bytes. */
const MOST_HEAD = 65_536;

/**
 * A TLS connection cannot be read: a proxy outside is asked for a tunnel to the address (`tunnel_https_over_connect`).
 * Whatever the proxy answers, what follows is the guest's.
 */
export class TunnelStream implements HostStream {
  readonly local: Endpoint;
  private readonly outer: HostStream | null;
  private readonly early = new Outbox();
  private answer = "";
  /** The proxy has answered. */
  private standing = false;
  private guestEnded = false;
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
    const request = encode(`CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n\r\n`);
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
    this.guestEnded = true;
    if (this.standing) this.outer!.end(cause);
    else this.finish(cause);
  }

  destroy(cause: number): void {
    this.outer?.destroy(cause);
  }

  /** True once the head of the answer is read. */
  private readAnswer(cause: number): boolean {
    const bytes = this.outer!.read(MOST_HEAD);
    if (bytes === null) {
      this.finish(cause);
      return false;
    }
    for (const byte of bytes) this.answer += String.fromCharCode(byte);
    const end = this.answer.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.answer.length > MOST_HEAD) this.finish(cause);
      return false;
    }
    this.early.add(encode(this.answer.slice(end + 4)));
    this.answer = "";
    this.standing = true;
    if (this.guestEnded) this.outer!.end(cause);
    else this.events.writable(cause);
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
