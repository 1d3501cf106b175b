/** One login of the demo school; every answer that is not 2xx is an error with the server's own words. */
export class DemoClient {
  readonly #base: string;
  readonly #token: string;

  constructor(base: string, token: string) {
    this.#base = base;
    this.#token = token;
  }

  static async login(url: string, login: string, password: string): Promise<DemoClient> {
    const base = `${url}/api/v1`;
    const answer = await fetch(`${base}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ login, password }),
    }).catch((cause: Error) => {
      throw new Error(`nothing answers at ${url}: start the application there, or unset SCHOOLS24_URL`, { cause });
    });
    const body = (await answer.json()) as { data?: { access_token: string }; title?: string };
    if (!body.data) {
      const advice =
        answer.status === 429
          ? 'the whole school logs in from one address: start the application with RATE_LIMIT_FACTOR=1000'
          : 'is DEMO_PASSWORD the one the school was seeded with?';
      throw new Error(`login of ${login}: ${answer.status} ${body.title}; ${advice}`);
    }
    return new DemoClient(base, body.data.access_token);
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.#base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const parsed = text
      ? (JSON.parse(text) as { data: T; title?: string; detail?: string })
      : ({ data: undefined } as { data: T });
    if (!answer.ok)
      throw new Error(
        `${method} ${path}: ${answer.status} ${'title' in parsed ? parsed.title : ''} ${'detail' in parsed ? (parsed.detail ?? '') : ''}`,
      );
    return parsed.data;
  }
}
