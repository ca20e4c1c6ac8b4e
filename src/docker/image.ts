import { familiarName, parseImage } from "../program/image.ts";

/** What a container is made of: what it runs and which files it has, as far as a command of hopscope asks. */
export interface Image {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  /** `EXPOSE`, such as `80/tcp`. */
  readonly exposed: readonly string[];
  /** By their path. `/etc/os-release` says whose tools it has. */
  readonly files: ReadonlyMap<string, string>;
}

/** What is said of an image; the rest is as it is known. */
export interface ImageSpec {
  readonly entrypoint?: readonly string[] | undefined;
  readonly command?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly expose?: readonly string[] | undefined;
  readonly files?: Readonly<Record<string, string>> | undefined;
}

/** By their name, with or without a tag. */
export type Images = ReadonlyMap<string, ImageSpec>;

/** What `docker build` starts with. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** ENTRYPOINT and CMD of images that many know. */
const KNOWN: Readonly<Record<string, readonly [entrypoint: string, command: readonly string[]]>> = {
  alpine: ["", ["/bin/sh"]],
  bash: ["docker-entrypoint.sh", ["bash"]],
  busybox: ["", ["sh"]],
  debian: ["", ["bash"]],
  nginx: ["/docker-entrypoint.sh", ["nginx", "-g", "daemon off;"]],
  postgres: ["docker-entrypoint.sh", ["postgres"]],
  redis: ["docker-entrypoint.sh", ["redis-server"]],
  ubuntu: ["", ["/bin/bash"]],
};

export function findImage(text: string, images: Images): Image {
  const name = familiarName(parseImage(text));
  const { entrypoint, command, env, expose = [], files = {} } = images.get(text) ?? images.get(name) ?? {};
  const [path, words] = Object.hasOwn(KNOWN, name) ? KNOWN[name]! : ["", []];
  return {
    entrypoint: entrypoint ?? (path === "" ? [] : [path]),
    command: command ?? (entrypoint === undefined ? words : []),
    environment: new Map(Object.entries({ PATH, ...env })),
    exposed: expose,
    files: new Map(Object.entries(files)),
  };
}

/** The words of a command that a compose file gives as one text. */
export const commandWords = (text: string): string[] =>
  [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, plain]) => double ?? single ?? plain ?? "");
