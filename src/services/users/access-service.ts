import { BadStateError, LastAdminError, NotFoundError, SelfDemotionError } from '../../errors/catalogue.ts';
import type { Role } from '../../lib/actor.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { AccountTokens } from '../auth/account-tokens.ts';
import type { SessionStore } from '../auth/session-store.ts';
import type { Sessions } from '../auth/sessions.ts';
import { type Caller as Anyone, type Change, requireVersion, type WriteThrough } from '../write-through.ts';
import { requirePeople } from './people.ts';
import { changed, line } from './user-service.ts';
import type { LockedUser, UserRow, UserStore } from './user-store.ts';

type Caller = Anyone & Pick<RequestContext, 'actor' | 'ifMatch'>;

/** Who may do what, and who may log in (A4, A5). */
export class AccessService {
  readonly #store: UserStore;
  readonly #logins: SessionStore;
  readonly #accountTokens: AccountTokens;
  readonly #sessions: Sessions;
  readonly #through: WriteThrough;

  constructor(deps: {
    store: UserStore;
    logins: SessionStore;
    accountTokens: AccountTokens;
    sessions: Sessions;
    through: WriteThrough;
  }) {
    this.#store = deps.store;
    this.#logins = deps.logins;
    this.#accountTokens = deps.accountTokens;
    this.#sessions = deps.sessions;
    this.#through = deps.through;
  }

  /**
   * Replaces a user's roles and ends its other logins.
   *
   * @throws SelfDemotionError for one's own admin role, LastAdminError for the last one there is
   * @throws UnprocessableError for a role that has no such person behind it
   */
  setRoles(caller: Caller, id: string, roles: readonly Role[]): Promise<UserRow> {
    return this.#change(caller, id, async ({ knex, emit, record }, user) => {
      const { actor, now } = caller;
      const wanted = [...roles].sort();
      if (wanted.join() === user.roles.join()) return;
      if (user.roles.includes('admin') && !roles.includes('admin')) {
        if (actor.userId === id) throw new SelfDemotionError();
        await this.#requireAnotherAdmin(knex, id, user);
      }
      const { staff, student, guardian } = (await this.#store.find(id, knex))!;
      requirePeople(roles, { staff: staff !== null, student: student !== null, guardian: guardian !== null });
      await this.#store.setRoles(knex, { userId: id, roles, grantedBy: actor.userId, now });
      await this.#store.update(knex, id, { token_epoch: knex.raw('token_epoch + 1') }, now);
      await this.#logins.endIn(knex, { userId: id, reason: 'roles_changed', now, except: actor.sid });
      emit(changed(id, ['roles']));
      record({
        ...line('user.roles', id),
        before: { roles: user.roles },
        after: { roles: wanted },
        isLongLived: true,
      });
    });
  }

  /** Ends a user's logins and takes none until it is active again. @throws LastAdminError */
  suspend(caller: Caller, id: string): Promise<UserRow> {
    return this.#change(caller, id, async ({ knex, emit, record }, user) => {
      const { now } = caller;
      if (user.status === 'suspended') return;
      if (user.roles.includes('admin')) await this.#requireAnotherAdmin(knex, id, user);
      await this.#store.update(knex, id, { status: 'suspended', token_epoch: knex.raw('token_epoch + 1') }, now);
      await this.#logins.endIn(knex, { userId: id, reason: 'suspended', now });
      await this.#accountTokens.endAll(knex, id, now);
      emit({ name: 'auth.user.suspended', aggregateId: id, payload: { user_id: id, reason: 'by_admin' } });
      record(line('user.suspend', id));
    });
  }

  /** Takes a suspension back; who never had a password is invited again. */
  activate(caller: Caller, id: string): Promise<UserRow> {
    return this.#change(caller, id, async ({ knex, emit, record }, user) => {
      if (user.status !== 'suspended') return;
      await this.#store.update(knex, id, { status: user.hasPassword ? 'active' : 'invited' }, caller.now);
      emit(changed(id, ['status']));
      record(line('user.activate', id));
    });
  }

  /** @param work changes the user, or nothing when it is so already */
  #change(caller: Caller, id: string, work: (change: Change, user: LockedUser) => Promise<void>): Promise<UserRow> {
    return this.#sessions.changing([id], () =>
      this.#through.run(caller, async (change) => {
        const { knex } = change;
        // All admins before the user, in every change: two that lock them otherwise could wait for each other.
        await this.#store.lockAdmins(knex);
        const user = await this.#store.lock(knex, id);
        if (!user) throw new NotFoundError();
        if (user.status === 'archived') throw new BadStateError('the account is archived');
        requireVersion(caller.ifMatch, user.version);
        await work(change, user);
        return (await this.#store.find(id, knex))!;
      }),
    );
  }

  /** A5. All admins are locked by now, so nobody else takes the other one away meanwhile. */
  async #requireAnotherAdmin(knex: Change['knex'], id: string, { status }: LockedUser): Promise<void> {
    if (status === 'active' && (await this.#store.countOtherAdmins(knex, id)) === 0) throw new LastAdminError();
  }
}
