import { strerror } from "../socket/strerror.ts";
import type { Received } from "../socket/udp.ts";
import { formatIpv4 } from "../wire/address.ts";
import type { Arguments } from "./command-line.ts";
import { describeData, formatEndpoint } from "./datagram.ts";
import type { Environment, Program } from "./program.ts";

export interface UdpEchoServerOptions {
  readonly port: number;
  /** 0 for every address. */
  readonly address?: number;
}

/** `udp-echo-server [-b address] port`. @throws {InputError}. */
export function parseUdpEchoServer(words: Arguments): Program {
  const bind = words.option("b");
  const address = bind === null ? 0 : words.address(bind);
  const port = words.port(words.operand("the port to listen on"));
  words.finish();
  return udpEchoServer({ address, port });
}

/** Sends every datagram back to where it came from, and says whom it saw. */
export function udpEchoServer({ port, address = 0 }: UdpEchoServerOptions): Program {
  const name = "udp-echo-server";
  return {
    name,
    serves: true,
    start(environment: Environment): void {
      const socket = environment.udp.open();
      const failed = socket.bind(address, port);
      if (failed !== null) {
        environment.say(`${name}: bind: ${strerror(failed)}`);
        environment.exit(1);
        return;
      }
      environment.say(`listening on ${formatIpv4(address)}:${port}/udp`);
      socket.onReceive = ({ from, data, packet }: Received) => {
        environment.say(`from ${formatEndpoint(from)}: ${describeData(data)}`, packet);
        const refused = socket.send(data, from, packet);
        if (refused !== null) environment.say(`${name}: sendto: ${strerror(refused)}`, packet);
      };
    },
  };
}
