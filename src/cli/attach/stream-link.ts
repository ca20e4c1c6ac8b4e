import { chmodSync, unlinkSync } from "node:fs";
import net from "node:net";
import type { FrameLink } from "../../translator/frame-link.ts";
import {
  type FrameFormat,
  FrameReader,
  QEMU_STREAM,
  VMNET_STREAM,
  writeLength,
} from "../../translator/frame-stream.ts";
import { type Command, type Reply, VmnetHandshake } from "../../translator/vmnet.ts";
import type { Place } from "./place.ts";

/** Bytes that wait for a guest that reads slowly; frames beyond are lost. */
const MOST_WAITING = 4 << 20;
/** Frames of one turn go to the kernel in one call, up to this many bytes. */
const BATCH = 1 << 16;
const MTU = 1500;

/** What a server of guests tells. */
export interface GuestEvents {
  listening(): void;
  failed(error: Error): void;
  attached(link: FrameLink, who: string): void;
  /** The guest is gone; why where it is its fault. */
  detached(fault: string | null): void;
}

/** A frame stream over a connected socket: `-netdev stream` of QEMU, passt, gvproxy, or VMNET behind its handshake. */
class StreamLink implements FrameLink {
  onFrame: ((frame: Uint8Array) => void) | null = null;
  readonly mtu = MTU;
  private batch = Buffer.allocUnsafeSlow(BATCH);
  private view = new DataView(this.batch.buffer);
  private held = 0;
  private scheduled = false;
  private readonly reader: FrameReader;

  constructor(
    private readonly socket: net.Socket,
    private readonly format: FrameFormat,
  ) {
    this.reader = new FrameReader(format, (frame) => this.onFrame?.(frame));
  }

  /** Null, or why these bytes are no frames. */
  push(bytes: Uint8Array): string | null {
    return this.reader.push(bytes);
  }

  send(frame: Uint8Array): boolean {
    const length = this.format.header + frame.length;
    if (this.socket.writableLength + this.held + length > MOST_WAITING || length > BATCH) return false;
    if (this.held + length > BATCH) this.flush();
    writeLength(this.format, this.view, this.held, frame.length);
    this.batch.set(frame, this.held + this.format.header);
    this.held += length;
    if (!this.scheduled) {
      this.scheduled = true;
      process.nextTick(this.flushLater);
    }
    return true;
  }

  private readonly flushLater = (): void => {
    this.scheduled = false;
    this.flush();
  };

  private flush(): void {
    if (this.held === 0) return;
    const full = this.batch;
    const { held } = this;
    this.held = 0;
    this.batch = Buffer.allocUnsafeSlow(BATCH);
    this.view = new DataView(this.batch.buffer);
    if (this.socket.writable) this.socket.write(held === BATCH ? full : full.subarray(0, held));
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Serves one guest at a time by QEMU's framing, or by VMNET. */
export function serveStream(protocol: "qemu" | "vmnet", at: Place, events: GuestEvents, card: (of: Command) => Reply) {
  let busy = false;
  const server = net.createServer((socket) => {
    if (busy) {
      socket.destroy();
      return;
    }
    busy = true;
    let fault: string | null = null;
    const begin = (format: FrameFormat): StreamLink => {
      const link = new StreamLink(socket, format);
      events.attached(link, at.text);
      return link;
    };
    let link = protocol === "qemu" ? begin(QEMU_STREAM) : null;
    const handshake = new VmnetHandshake("hopscope", card);
    socket.on("data", (data: Buffer) => {
      let bytes: Uint8Array = data;
      if (link === null) {
        const step = handshake.push(data);
        if (step.answer.length > 0) socket.write(step.answer);
        fault = step.fault;
        if (step.rest !== null) {
          link = begin(VMNET_STREAM);
          bytes = step.rest;
        }
      }
      if (link !== null) fault ??= link.push(bytes);
      if (fault !== null) socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      busy = false;
      events.detached(fault);
    });
  });
  server.on("listening", () => events.listening());
  server.on("error", (error) => events.failed(error));
  if (at.kind === "unix") {
    try {
      unlinkSync(at.path);
    } catch {}
    const before = process.umask(0o177);
    server.listen(at.path, () => chmodSync(at.path, 0o600));
    process.umask(before);
  } else server.listen(at.port, at.address);
  return server;
}
