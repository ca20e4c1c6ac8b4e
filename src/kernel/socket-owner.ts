/** Who stands behind a packet's socket (`sk->sk_socket`), as far as rules can ask. */
export interface SocketOwner {
  /** Root where it says nothing (`file->f_cred`). */
  readonly uid?: number;
  readonly gid?: number;
  /** The kernel's own, which no program opened and no user owns. */
  readonly kernel?: boolean;
  /** No program holds it: not accepted yet, closed, or in TIME_WAIT (`sk->sk_socket` is null). */
  readonly orphan?: boolean;
}

/** What ICMP and TCP answer with by themselves (`ipv4_icmp_sk`, `ipv4_tcp_sk`). */
export const KERNEL_SOCKET: SocketOwner = { kernel: true };
/** A program that writes IPv4 headers of its own. */
export const RAW_SOCKET: SocketOwner = {};
