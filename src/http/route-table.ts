import FindMyWay, { type HTTPMethod } from 'find-my-way';
import type { Route } from '../lib/route.ts';

/** Path parameters by name, percent-decoded. */
export type PathParams = Record<string, string | undefined>;

/** Ids of writes are an entity's name, its key and a version; a key may be two UUIDs. As they are spelled, percent signs and all. */
const MOST_PARAM_CHARACTERS = 500;

/** Finds what answers a path in one step, however many routes there are. */
export class RouteTable<T> {
  readonly #router = FindMyWay({ ignoreTrailingSlash: true, maxParamLength: MOST_PARAM_CHARACTERS });
  readonly #methods = new Set<Route['method']>();
  /** Methods of the paths without parameters: such a path is not also an id of the path beside it. */
  readonly #literal = new Map<string, Set<string>>();

  /** @param path with `:name` for parameters */
  add(method: Route['method'], path: string, target: T): void {
    this.#methods.add(method);
    if (!path.includes(':')) this.#literal.set(path, (this.#literal.get(path) ?? new Set()).add(method));
    this.#router.on(method, path, unused, target);
  }

  /** HEAD is answered as GET is; Node leaves the body out. */
  find(method: string, path: string): { target: T; params: PathParams } | undefined {
    const wanted = method === 'HEAD' ? 'GET' : method;
    if (this.#literal.get(path)?.has(wanted) === false) return undefined;
    const found = this.#router.find(wanted as HTTPMethod, path);
    return found ? { target: found.store as T, params: found.params } : undefined;
  }

  /** Methods that this path takes; none when there is nothing at it. */
  methodsOf(path: string): string[] {
    const methods: string[] = [...this.#methods].filter((method) => this.find(method, path) !== undefined);
    return methods.includes('GET') ? [...methods, 'HEAD'] : methods;
  }
}

/** The library's handlers are not called: it is asked for the target only. */
const unused = (): void => {};
