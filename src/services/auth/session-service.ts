import { NotFoundError } from '../../errors/catalogue.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { WriteThrough } from '../write-through.ts';
import type { OwnSession, SessionStore } from './session-store.ts';
import type { Sessions } from './sessions.ts';

type Caller = Pick<RequestContext, 'actor' | 'requestId' | 'ip' | 'now' | 'newId'>;

/** What people do with their own logins. */
export class SessionService {
  readonly #store: SessionStore;
  readonly #sessions: Sessions;
  readonly #through: WriteThrough;

  constructor(deps: { store: SessionStore; sessions: Sessions; through: WriteThrough }) {
    this.#store = deps.store;
    this.#sessions = deps.sessions;
    this.#through = deps.through;
  }

  /** Logins that can still be used, newest first. @param before id of the last one of the page before */
  async list(
    { actor, now }: Pick<Caller, 'actor' | 'now'>,
    { limit, before }: { limit: number; before: string | undefined },
  ): Promise<{ sessions: OwnSession[]; hasMore: boolean }> {
    const sessions = await this.#store.list(actor.userId, { now, limit: limit + 1, before });
    return { sessions: sessions.slice(0, limit), hasMore: sessions.length > limit };
  }

  /** Ends the login that sends the request, or all of its user's. */
  async logout(caller: Caller, isAll: boolean): Promise<void> {
    await this.#end(caller, isAll ? undefined : caller.actor.sid);
  }

  /** @throws NotFoundError when it has ended, or is somebody else's */
  async end(caller: Caller, sid: string): Promise<void> {
    if ((await this.#end(caller, sid)) === 0) throw new NotFoundError();
  }

  /** @returns how many logins were ended */
  #end(caller: Caller, sid: string | undefined): Promise<number> {
    const { actor, now } = caller;
    const { userId } = actor;
    return this.#sessions.changing([userId], () =>
      this.#through.run(caller, async ({ knex, record }) => {
        const ended = await this.#store.endIn(knex, {
          userId,
          reason: 'logout',
          now,
          ...(sid === undefined ? {} : { sid }),
        });
        if (ended > 0) {
          const entity = sid === undefined ? { type: 'user', id: userId } : { type: 'session', id: sid };
          record({ service: 'auth', action: 'session.end', entity, after: { ended } });
        }
        return ended;
      }),
    );
  }
}
