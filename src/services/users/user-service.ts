import type { Barrier } from '../../buffer/barrier.ts';
import { BadStateError, NotFoundError } from '../../errors/catalogue.ts';
import type { Background } from '../../lib/background.ts';
import type { DomainEvent } from '../../lib/events.ts';
import type { AccountMails } from '../auth/account-mails.ts';
import type { AccountTokens } from '../auth/account-tokens.ts';
import type { Sessions } from '../auth/sessions.ts';
import type { School } from '../school/school.ts';
import {
  type Caller,
  type Change,
  FIRST_VERSION,
  type Rehearsal,
  requireVersion,
  type WriteThrough,
} from '../write-through.ts';
import type { CredentialService, HandedOut, IssuedCredentials } from './credential-service.ts';
import { recognise, requirePeople, savePeople } from './people.ts';
import type { NewUser, UserChanges } from './user-fields.ts';
import type { LockedUser, UserFilter, UserRow, UserStatus, UserStore } from './user-store.ts';

/** What a broken unique constraint is called in a request about a user. */
export const USER_UNIQUES = {
  users_lower_login_uq: '/login',
  users_lower_email_uq: '/email',
  staff_employee_no_uq: '/person/staff/employee_no',
  students_user_id_uq: '/person/student/id',
  guardians_user_id_uq: '/person/guardian/id',
} as const;

/** The accounts of the school, as admins see and change them. */
export class UserService {
  readonly #store: UserStore;
  readonly #sessions: Sessions;
  readonly #credentials: CredentialService;
  readonly #accountTokens: AccountTokens;
  readonly #mails: AccountMails;
  readonly #through: WriteThrough;
  readonly #barrier: Barrier;
  readonly #school: School;
  readonly #background: Background;

  constructor(deps: {
    store: UserStore;
    sessions: Sessions;
    credentials: CredentialService;
    accountTokens: AccountTokens;
    mails: AccountMails;
    through: WriteThrough;
    barrier: Barrier;
    school: School;
    background: Background;
  }) {
    this.#store = deps.store;
    this.#sessions = deps.sessions;
    this.#credentials = deps.credentials;
    this.#accountTokens = deps.accountTokens;
    this.#mails = deps.mails;
    this.#through = deps.through;
    this.#barrier = deps.barrier;
    this.#school = deps.school;
    this.#background = deps.background;
  }

  /** By login. */
  async list(filter: UserFilter, now: Date): Promise<{ users: UserRow[]; hasMore: boolean }> {
    const on = await this.#school.dateAt(now);
    const users = await this.#store.list({ ...filter, limit: filter.limit + 1 }, on);
    return { users: users.slice(0, filter.limit), hasMore: users.length > filter.limit };
  }

  /** @throws NotFoundError */
  async get(id: string): Promise<UserRow> {
    const user = await this.#store.find(id);
    if (!user) throw new NotFoundError();
    return user;
  }

  /**
   * Makes an account with its roles and the person behind it, and a way in: an invite by mail, or a temporary password where
   * there is no address or the admin wants one.
   *
   * @throws UnprocessableError when a role has no such person behind it
   * @throws TakenError naming the field
   */
  async create(caller: Caller, body: NewUser): Promise<{ user: UserRow; handedOut: HandedOut }> {
    const { email = null } = body;
    const [id, tokenId] = [caller.newId(), caller.newId()];
    const credentials = body.credentials ?? (email ? 'invite' : 'temporary_password');
    const prepared = await this.#credentials.prepare(credentials, email);
    const result = await this.#through.run(
      caller,
      async (change) => {
        const { knex, record } = change;
        let status: UserStatus = 'invited';
        if (!(await this.#make(change, caller, id, body))) {
          // Its answer was lost, and with it the way in.
          status = (await this.#store.lock(knex, id))!.status;
          record(line('user.credentials', id));
        }
        const isAccepted = prepared.kind === 'invite' && status !== 'invited';
        const issued = isAccepted
          ? undefined
          : await this.#credentials.issue(knex, { id, email, status }, prepared, { now: caller.now, tokenId });
        return { user: (await this.#store.find(id, knex))!, issued };
      },
      USER_UNIQUES,
      { keepsResult: false },
    );
    return { user: result.user, handedOut: await this.#credentials.handOut(result.user, result.issued) };
  }

  /**
   * Makes one account of many: the same as `create`, but the invite follows from an event, so that nobody waits for mail servers.
   * A guardian of the school is recognised by name and phone. Without an address there is no way in until an admin gives one.
   *
   * @param id the same for every attempt: whoever is there already is left alone, and hears nothing again
   * @throws as `create` does
   */
  async createOfMany(caller: Caller, id: string, body: NewUser): Promise<void> {
    await this.#through.run(caller, (change) => this.#makeOfMany(change, caller, id, body), USER_UNIQUES);
  }

  /** Throws what `createOfMany` would. */
  async rehearse(rehearsal: Rehearsal, caller: Caller, id: string, body: NewUser): Promise<void> {
    await rehearsal.run((change) => this.#makeOfMany(change, caller, id, body), USER_UNIQUES);
  }

  /** Mails the invite that an event asks for: to who has not accepted one by now, and still has an address. */
  async sendInvite({ id: eventId, payload }: DomainEvent, now: Date): Promise<void> {
    const user = await this.#store.find(payload.user_id as string);
    if (user?.status !== 'invited' || !user.email) return;
    await this.#credentials.sendInvite(user, eventId, now);
  }

  async #makeOfMany(change: Change, caller: Caller, id: string, body: NewUser): Promise<void> {
    const person = await recognise(change.knex, body.person);
    const isNew = await this.#make(change, caller, id, { ...body, person });
    if (isNew && body.email) change.emit({ name: 'auth.user.invited', aggregateId: id, payload: { user_id: id } });
  }

  /** The rows of an account. @returns false when it is there already */
  async #make(
    { knex, emit, record }: Change,
    { actor, now, newId }: Caller,
    id: string,
    { login, email = null, roles, person }: NewUser,
  ): Promise<boolean> {
    requirePeople(roles, {
      staff: person.staff !== undefined,
      student: person.student !== undefined,
      guardian: person.guardian !== undefined,
    });
    const user = { id, login, email, status: 'invited' as const, now, firstVersion: FIRST_VERSION };
    if (!(await this.#store.insert(knex, user))) return false;
    await this.#store.setRoles(knex, { userId: id, roles, grantedBy: actor.userId, now });
    const fields = ['login', 'email', 'roles', ...(await savePeople(knex, person, { userId: id, now, newId }))];
    emit(changed(id, fields));
    record({ ...line('user.create', id), after: { fields, roles }, isLongLived: true });
    return true;
  }

  /** @throws NotFoundError, BadStateError for an archived account, StaleVersionError, TakenError */
  async update(
    caller: Caller,
    id: string,
    changes: UserChanges,
    ifMatch?: number,
  ): Promise<{ user: UserRow; handedOut: HandedOut }> {
    const { now, newId } = caller;
    const { login, email, person, credentials } = changes;
    const fields = Object.entries(changes).flatMap(([name, value]) =>
      name === 'person' || value === undefined ? [] : [name],
    );
    const prepared = credentials && (await this.#credentials.prepare(credentials, email));
    let before: LockedUser | undefined;
    // The profile's pending fields are stored first: they have a version of this row, which the caller may name.
    await this.#barrier.store('profile', [id]);
    const { user, issued } = await this.#sessions.changing([id], () =>
      this.#through.run(
        caller,
        async (change) => {
          const { knex, emit, record } = change;
          before = await this.#lockUsable(knex, id, ifMatch);
          if (person) fields.push(...(await savePeople(knex, person, { userId: id, now, newId })));
          const columns = { ...(login === undefined ? {} : { login }), ...(email === undefined ? {} : { email }) };
          await this.#store.update(knex, id, columns, now);
          // Links that wait in the mailbox of the old address.
          if (isMoved(before, email)) await this.#accountTokens.endAll(knex, id, now);
          const { status } = before;
          const account = { id, status, email: email === undefined ? before.email : email };
          const waysIn: IssuedCredentials = prepared
            ? await this.#credentials.issue(knex, account, prepared, { now, tokenId: newId() })
            : undefined;
          emit(changed(id, fields));
          record({ ...line('user.update', id), after: { fields } });
          return { user: (await this.#store.find(id, knex))!, issued: waysIn };
        },
        USER_UNIQUES,
      ),
    );
    if (before?.email && isMoved(before, email)) this.#tellOldAddress(before.email, user);
    return { user, handedOut: await this.#credentials.handOut(user, issued) };
  }

  #tellOldAddress(email: string, { id, login }: UserRow): void {
    this.#background.start('notice of a new address', () => this.#mails.sendEmailChanged({ email, login }), {
      userId: id,
    });
  }

  async #lockUsable(knex: Change['knex'], id: string, ifMatch: number | undefined): Promise<LockedUser> {
    const user = await this.#store.lock(knex, id);
    if (!user) throw new NotFoundError();
    if (user.status === 'archived') throw new BadStateError('the account is archived');
    requireVersion(ifMatch, user.version);
    return user;
  }
}

const isMoved = (before: LockedUser, email: string | null | undefined): boolean =>
  email !== undefined && email !== before.email;

/** Names of fields only: values are personal. */
export const changed = (userId: string, fields: readonly string[]) =>
  ({ name: 'auth.user.changed', aggregateId: userId, payload: { user_id: userId, fields } }) as const;

export const line = (action: string, userId: string) => ({
  service: 'auth',
  action,
  entity: { type: 'user', id: userId },
});
