import { type Errno, strerror } from "../socket/strerror.ts";
import { Connector } from "./connector.ts";
import { formatEndpoint } from "./datagram.ts";
import type { Environment } from "./program.ts";
import { type Pending, resolve } from "./resolver.ts";
import { Stream, type StreamSocket } from "./stream.ts";

/** Where a stream leads: to a path of this host, or to a port of a host by its name or address. */
export type DialTarget =
  | { readonly unix: string }
  | { readonly host: string; readonly port: number; readonly timeout: number };

export interface Dialing {
  /** `peer` is `172.19.0.3:2375` or the path. */
  connected(stream: Stream<StreamSocket>, peer: string): void;
  /** In the words of Go's `net` package. */
  failed(why: string, slow: boolean): void;
}

/** `net.Dial()`; the timeout is in nanoseconds, for all addresses together. */
export function dial(environment: Environment, target: DialTarget, events: Dialing): Pending {
  if ("unix" in target) return dialUnix(environment, target.unix, events);
  const { host, port, timeout } = target;
  let connector: Connector | null = null;
  const pending = resolve(environment, host, ({ addresses, error }) => {
    if (error !== null) {
      events.failed(`dial tcp: lookup ${host}: no such host`, false);
      return;
    }
    let why = "i/o timeout";
    let peer = host;
    const at = (address: number) => formatEndpoint({ address, port });
    connector = new Connector(environment, addresses, port, timeout, {
      trying: (address) => {
        peer = at(address);
      },
      connected: (socket, address) => events.connected(new Stream(socket), at(address)),
      failed: (_, errno) => {
        why = goError(errno);
      },
      timedOut: () => {
        why = "i/o timeout";
      },
      exhausted: (errno) => events.failed(`dial tcp ${peer}: ${why}`, errno === null || errno === "ETIMEDOUT"),
    });
    connector.start();
  });
  return {
    cancel() {
      pending.cancel();
      connector?.cancel();
    },
  };
}

function dialUnix(environment: Environment, path: string, events: Dialing): Pending {
  const socket = environment.unix.open();
  const refused = socket.connect(path);
  if (refused === null) events.connected(new Stream(socket), path);
  else events.failed(`dial unix ${path}: ${goError(refused)}`, false);
  return { cancel() {} };
}

const goError = (errno: Errno): string => `connect: ${strerror(errno).toLowerCase()}`;
