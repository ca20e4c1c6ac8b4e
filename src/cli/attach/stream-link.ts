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
import { BATCH, BatchWriter } from "./batch.ts";
import type { Place } from "./place.ts";

/** Bytes that wait for a guest that reads slowly; frames beyond are lost. */
const MOST_WAITING = 16 << 20;
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
  private readonly writer: BatchWriter;
  private readonly reader: FrameReader;

  constructor(
    private readonly socket: net.Socket,
    private readonly format: FrameFormat,
  ) {
    this.writer = new BatchWriter(socket);
    this.reader = new FrameReader(format, (frame) => this.onFrame?.(frame));
  }

  /** Null, or why these bytes are no frames. */
  push(bytes: Uint8Array): string | null {
    return this.reader.push(bytes);
  }

  send(frame: Uint8Array): boolean {
    const { writer, format } = this;
    const length = format.header + frame.length;
    if (writer.waiting + length > MOST_WAITING || length > BATCH || !this.socket.writable) return false;
    writer.reserve(length);
    writeLength(format, writer.view, writer.held, frame.length);
    writer.buffer.set(frame, writer.held + format.header);
    writer.advance(length);
    return true;
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
