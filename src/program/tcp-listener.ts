import { strerror } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { Environment } from "./program.ts";

/** Where a server listens; address 0 is every address. */
export interface ListenAt {
  readonly address: number;
  readonly port: number;
}

const BACKLOG = 128;

/** Listens and says so; a server that cannot says why and ends with status 1. */
export function listen(
  environment: Environment,
  name: string,
  { address, port }: ListenAt,
  accepted: (socket: TcpSocket) => void,
): void {
  const socket = environment.tcp.open({ reuse: true });
  const failed = socket.bind(address, port) ?? socket.listen(BACKLOG);
  if (failed !== null) {
    environment.say(`${name}: bind: ${strerror(failed)}`);
    socket.close();
    environment.exit(1);
    return;
  }
  environment.say(`listening on ${formatIpv4(address)}:${port}/tcp`);
  socket.onAccept = accepted;
}
