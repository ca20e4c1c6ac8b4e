import { DnsFrames, frameDns } from "../wire/dns-frames.ts";
import type { DnsForwarder } from "./dns-forwarder.ts";
import type { Endpoint, HostStream, HostStreamEvents } from "./host-sockets.ts";
import { type LocalService, Outbox } from "./local-service.ts";

/** Questions of one connection that wait for an answer at once. */
const MOST_WAITING = 64;

/** DNS over TCP, RFC 1035, 4.2.2: each message behind its length. */
export const dnsStreamService = (dns: DnsForwarder): LocalService => ({
  open: (at, events) => new DnsStream(dns, at, events),
});

class DnsStream implements HostStream {
  readonly local: Endpoint;
  readonly peer: Endpoint;
  private readonly frames = new DnsFrames();
  private readonly outbox = new Outbox();
  private waiting = 0;
  private asked = true;
  private over = false;

  constructor(
    private readonly dns: DnsForwarder,
    at: Endpoint,
    private readonly events: HostStreamEvents,
  ) {
    this.local = this.peer = at;
  }

  write(data: Uint8Array, cause: number): number {
    for (const question of this.frames.add(data)) this.ask(question, cause);
    return data.length;
  }

  private ask(question: Uint8Array, cause: number): void {
    if (this.over || this.waiting >= MOST_WAITING) return;
    this.waiting++;
    const isQuestion = this.dns.ask(question, cause, (answer, because) => {
      this.waiting--;
      if (this.over) return;
      if (answer !== null) {
        this.outbox.add(frameDns(answer));
      }
      this.events.readable(because);
    });
    if (!isQuestion) this.waiting--;
  }

  read(most: number): Uint8Array | null {
    return this.outbox.isEmpty && !this.asked && this.waiting === 0 ? null : this.outbox.take(most);
  }

  end(cause: number): void {
    this.asked = false;
    if (this.waiting === 0) this.events.readable(cause);
  }

  destroy(): void {
    this.over = true;
  }
}
