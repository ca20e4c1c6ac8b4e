import { z } from "zod";

/** The part of a compose file that is about networking; everything else may stand beside it. */
const scalar = (expected: string) => z.union([z.string(), z.number(), z.boolean()], { error: expected });
const text = (expected: string) => z.string({ error: expected });
const nothing = z.null();

/** `KEY=VALUE` items or a map. */
const pairs = (what: string) =>
  z.union(
    [z.array(scalar(`an item of ${what}`)), z.record(z.string(), z.union([scalar("a value"), nothing])), nothing],
    {
      error: `${what}: a list or a map`,
    },
  );
const texts = (what: string) =>
  z.union([scalar(what), z.array(scalar(what)), nothing], { error: `${what}: a text or a list of texts` });
const flag = (what: string) => z.union([z.boolean(), z.enum(["true", "false"])], { error: `${what}: true or false` });
const command = (what: string) => z.union([z.string(), z.array(scalar("a word")), nothing], { error: what }).optional();

const longPort = z.looseObject(
  {
    target: scalar("the container's port"),
    published: scalar("the host's port").optional(),
    host_ip: text("an address of the host").optional(),
    protocol: z.enum(["tcp", "udp", "sctp"], { error: "tcp, udp or sctp" }).optional(),
  },
  { error: "a port such as 8080:80, or a map with target and published" },
);

const serviceNetwork = z.looseObject(
  {
    aliases: z.array(text("an alias"), { error: "a list of aliases" }).optional(),
    ipv4_address: text("an IPv4 address").optional(),
    mac_address: text("a MAC address").optional(),
    priority: scalar("a whole number").optional(),
    gw_priority: scalar("a whole number").optional(),
  },
  { error: "how the service joins the network" },
);

const service = z.looseObject(
  {
    image: text("an image").optional(),
    container_name: text("a name for the container").optional(),
    hostname: text("a host name").optional(),
    entrypoint: command("an entry point"),
    command: command("a command"),
    restart: z.union([text("a restart policy"), z.literal(false).transform(() => "no")]).optional(),
    privileged: flag("privileged").optional(),
    stdin_open: flag("stdin_open").optional(),
    tty: flag("tty").optional(),
    networks: z
      .union([z.array(text("a network")), z.record(z.string(), z.union([serviceNetwork, nothing])), nothing], {
        error: "networks: a list or a map",
      })
      .optional(),
    network_mode: text("a network mode (bridge, host, none, service:NAME, container:NAME)").optional(),
    ports: z
      .union([z.array(z.union([z.string(), z.number(), longPort], { error: "a port such as 8080:80" })), nothing], {
        error: "ports: a list",
      })
      .optional(),
    expose: z.union([z.array(scalar("a port")), nothing], { error: "expose: a list of ports" }).optional(),
    environment: pairs("environment").optional(),
    labels: pairs("labels").optional(),
    extra_hosts: pairs("extra_hosts").optional(),
    sysctls: pairs("sysctls").optional(),
    volumes: z.unknown().optional(),
    dns: texts("a DNS server").optional(),
    dns_search: texts("a domain").optional(),
    dns_opt: texts("an option of resolv.conf").optional(),
    mac_address: text("a MAC address").optional(),
    depends_on: z
      .union([z.array(text("a service")), z.record(z.string(), z.unknown()), nothing], {
        error: "depends_on: a list or a map of services",
      })
      .optional(),
    profiles: z.array(text("a profile"), { error: "profiles: a list" }).optional(),
    scale: scalar("how many containers").optional(),
    deploy: z
      .looseObject({ replicas: scalar("how many containers").optional() })
      .nullable()
      .optional(),
  },
  { error: "a service: a map" },
);

const ipamConfig = z.looseObject(
  {
    subnet: text("a subnet such as 172.28.0.0/16").optional(),
    ip_range: text("a range of addresses such as 172.28.5.0/24").optional(),
    gateway: text("an address").optional(),
    aux_addresses: z.record(z.string(), text("an address"), { error: "names and their addresses" }).optional(),
  },
  { error: "a subnet and what belongs to it" },
);

const network = z.looseObject(
  {
    name: text("a name").optional(),
    driver: text("a driver such as bridge").optional(),
    driver_opts: z
      .union([z.record(z.string(), scalar("a value")), nothing], { error: "driver_opts: a map" })
      .optional(),
    internal: flag("internal").optional(),
    attachable: flag("attachable").optional(),
    external: z
      .union([z.boolean(), z.enum(["true", "false"]), z.looseObject({ name: text("a name").optional() })], {
        error: "external: true or false",
      })
      .optional(),
    labels: pairs("labels").optional(),
    ipam: z
      .looseObject(
        { config: z.union([z.array(ipamConfig), nothing], { error: "config: a list of subnets" }).optional() },
        { error: "ipam: a map" },
      )
      .nullable()
      .optional(),
  },
  { error: "a network: a map" },
);

export const COMPOSE = z.looseObject(
  {
    name: text("a name for the project").optional(),
    services: z.record(z.string(), service, { error: "services: a map" }),
    networks: z
      .union([z.record(z.string(), z.union([network, nothing])), nothing], { error: "networks: a map" })
      .optional(),
  },
  { error: "a compose file: a map with services" },
);

export type ComposeFile = z.infer<typeof COMPOSE>;
export type ComposeService = z.infer<typeof service>;
export type ComposeNetwork = z.infer<typeof network>;
export type ComposePort = NonNullable<NonNullable<ComposeService["ports"]>[number]>;
