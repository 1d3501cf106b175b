import { afterEach } from 'vitest';
import { EventStream } from './event-stream.ts';
import type { SchoolHarness } from './harness.ts';

export type Listen = (login: string, query?: string, headers?: Record<string, string>) => Promise<EventStream>;

/** Opens streams of a school as somebody; closes them after each test. */
export function useStreams(school: SchoolHarness): Listen {
  const open: EventStream[] = [];
  afterEach(async () => {
    for (const stream of open.splice(0)) {
      stream.close();
      await stream.ended();
    }
  });
  return async (login, query = '', headers = {}) => {
    const authorization = `Bearer ${await school.token(login)}`;
    const stream = await EventStream.open(`${school.baseUrl}/api/v1/stream${query}`, { authorization, ...headers });
    open.push(stream);
    return stream;
  };
}
