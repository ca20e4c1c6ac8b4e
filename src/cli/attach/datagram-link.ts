import dgram from "node:dgram";
import type { FrameLink } from "../../translator/frame-link.ts";
import type { GuestEvents } from "./stream-link.ts";

const MTU = 1500;
const BUFFER = 4 << 20;

/**
 * One frame per UDP datagram: `-netdev dgram` of QEMU, `socat TUN,tun-type=tap,iff-no-pi UDP:...`. The guest is whoever
 * sends first; nobody else is listened to.
 */
export function serveDatagrams(address: string, port: number, events: GuestEvents): FrameLink {
  const socket = dgram.createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
  let peer: { readonly address: string; readonly port: number } | null = null;
  let bound = false;
  let open = true;
  const link: FrameLink = {
    onFrame: null,
    mtu: MTU,
    send(frame) {
      if (peer === null) return false;
      socket.send(Buffer.from(frame), peer.port, peer.address);
      return true;
    },
    close() {
      if (open) socket.close();
      open = false;
    },
  };
  socket.on("message", (frame, from) => {
    if (peer === null) {
      peer = { address: from.address, port: from.port };
      events.attached(link, `${from.address}:${from.port}`);
    }
    if (from.port === peer.port && from.address === peer.address) link.onFrame?.(frame);
  });
  // A guest that is gone refuses datagrams; it may come back.
  socket.on("error", (error) => {
    if (!bound) events.failed(error);
  });
  socket.bind({ address, port, exclusive: true }, () => {
    bound = true;
    socket.setRecvBufferSize(BUFFER);
    socket.setSendBufferSize(BUFFER);
    events.listening();
  });
  return link;
}
