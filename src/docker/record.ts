import type { UpperKind } from "../world/world.ts";
import type { BridgeRules } from "./bridge-rules.ts";
import type { PortSpec } from "./command.ts";
import type { AddressSpace } from "./ipam.ts";
import type { Container, DockerNetwork, Endpoint, PortBinding } from "./model.ts";
import type { NameRecord, ProcessSpec, TranslatorPort } from "./operation.ts";
import type { RuleChange } from "./rule-change.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What dockerd keeps of a network beside what it shows. */
export interface NetworkRecord extends DockerNetwork {
  readonly addresses: AddressSpace | null;
  /** What its rules depend on; null without a bridge of Docker's. */
  readonly rules: BridgeRules | null;
  /** What its endpoints are on the parent; null for a bridge. */
  readonly upper: UpperKind | null;
  /** The rules that were made for it. */
  readonly changes: RuleChange[];
}

export interface EndpointRecord extends Writable<Endpoint> {
  readonly network: NetworkRecord;
  readonly changes: RuleChange[];
}

/** A port that is mapped now. */
export interface MappedPort {
  readonly binding: PortBinding;
  readonly changes: readonly RuleChange[];
  readonly proxies: readonly ProcessSpec[];
  readonly exposed: ExposedPort | null;
}

/** A port that Docker Desktop opens on the machine itself. */
export interface ExposedPort {
  readonly at: TranslatorPort;
  readonly port: string;
}

export interface ContainerRecord extends Writable<Container> {
  readonly endpoints: EndpointRecord[];
  readonly mapped: MappedPort[];
  readonly wanted: readonly PortSpec[];
  /** What its DNS server was told last. */
  names: readonly NameRecord[];
  /** The embedded DNS server, while it runs. */
  resolver: { readonly namespace: string; readonly process: ProcessSpec } | null;
}
