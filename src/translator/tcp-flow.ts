/** A connection of a guest. */
export interface TcpFlow {
  abandon(): void;
}
