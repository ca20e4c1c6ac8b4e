/** An image's name taken apart (`reference.ParseNormalizedNamed()`). */
export interface ImageReference {
  /** `docker.io`, or a registry's host and port. */
  readonly registry: string;
  /** `library/nginx`. */
  readonly repository: string;
  readonly tag: string;
  /** `docker.io/library/nginx`. */
  readonly image: string;
}

/** `nginx`, `rancher/k3s:v1.30`, `192.0.2.1:5000/app`. */
export function parseImage(text: string): ImageReference {
  const [, name = text, tag = "latest"] = /^(.*?)(?::([\w][\w.-]*))?(?:@.*)?$/.exec(text) ?? [];
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = first === "localhost" || /[.:]/.test(first);
  const registry = isHost ? (first === "index.docker.io" ? "docker.io" : first) : "docker.io";
  const rest = isHost ? name.slice(slash + 1) : name;
  const repository = registry === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest;
  return { registry, repository, tag, image: `${registry}/${repository}` };
}

/** As people write it: without what goes without saying. */
export const familiarName = ({ registry, repository, image }: ImageReference): string =>
  registry === "docker.io" ? repository.replace(/^library\//, "") : image;
