/** An IPv4 address and a port, host order. */
interface Endpoint {
  readonly address: number;
  readonly port: number;
}

/** What a program asked of a socket, as `strace` would show it. */
export type SocketCall =
  | ({ readonly name: "bind" | "connect" } & Endpoint)
  | { readonly name: "listen" | "receive" | "close" }
  | { readonly name: "accept"; readonly accepted: object }
  /** `data` is what was taken. */
  | { readonly name: "send"; data: Uint8Array; readonly to: Endpoint | null }
  | { readonly name: "shutdown"; readonly how: "read" | "write" | "both" }
  /** An echo request; `data` null stands for `size` bytes. */
  | {
      readonly name: "echo";
      readonly to: number;
      readonly sequence: number;
      readonly size: number;
      readonly data: Uint8Array | null;
      readonly ttl: number;
      readonly dontFragment: boolean;
    };

/** Hears of each call as it begins. */
export type CallListener = (socket: object, call: SocketCall) => void;
