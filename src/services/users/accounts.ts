import type { Knex } from 'knex';
import type { Engine } from '../../engine.ts';
import type { Background } from '../../lib/background.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EventConsumer } from '../../lib/events.ts';
import type { Log } from '../../lib/log.ts';
import type { Route } from '../../lib/route.ts';
import { nightlyPurge, type ScheduledTask } from '../../lib/scheduled-task.ts';
import type { Mailer } from '../../stores/mail/mailer.ts';
import { createAccountRoutes } from '../auth/account.routes.ts';
import { AccountMails } from '../auth/account-mails.ts';
import { AccountTokens } from '../auth/account-tokens.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { LoginGuard } from '../auth/login-guard.ts';
import { PasswordService } from '../auth/password-service.ts';
import { SessionService } from '../auth/session-service.ts';
import type { SessionStore } from '../auth/session-store.ts';
import type { Sessions } from '../auth/sessions.ts';
import type { Tokens } from '../auth/tokens.ts';
import type { School } from '../school/school.ts';
import type { WriteThrough } from '../write-through.ts';
import { AccessService } from './access-service.ts';
import { CredentialService } from './credential-service.ts';
import { UserService } from './user-service.ts';
import { UserStore } from './user-store.ts';
import { createUserRoutes } from './users.routes.ts';

export interface AccountDeps {
  engine: Engine;
  knex: Knex;
  school: School;
  authStore: AuthStore;
  logins: SessionStore;
  sessions: Sessions;
  tokens: Tokens;
  guard: LoginGuard;
  mailer: Mailer;
  /** Address of the web application. */
  appUrl: string;
  background: Background;
  log: Log;
  writes: WriteThrough;
  /** Secrets that sign tokens, the newest first. */
  secrets: readonly Uint8Array[];
  clock: Clock;
}

/** Puts together what changes accounts, by their owners and by administrators. */
export function createAccounts(deps: AccountDeps): {
  routes: Route[];
  consumers: EventConsumer[];
  tasks: ScheduledTask[];
  users: UserService;
} {
  const { engine, knex, school, authStore, logins, sessions, tokens, guard, mailer, appUrl, background, log } = deps;
  const store = new UserStore(knex);
  const accountTokens = new AccountTokens({ knex, secret: deps.secrets[0]! });
  const mails = new AccountMails({ mailer, appUrl });
  const shared = { store, logins, accountTokens, sessions, mails, through: deps.writes, background };
  const credentials = new CredentialService({ users: store, logins, accountTokens, mails, log });
  const services = {
    sessions: new SessionService({ store: logins, sessions, through: deps.writes }),
    passwords: new PasswordService({ ...shared, store: authStore, guard, tokens }),
    users: new UserService({ ...shared, credentials, barrier: engine.barrier, school }),
    access: new AccessService(shared),
  };
  return {
    users: services.users,
    routes: [...createAccountRoutes(services), ...createUserRoutes(services)],
    consumers: [
      {
        name: 'account-invites',
        service: 'auth',
        on: ['auth.user.invited'],
        handle: (event) => services.users.sendInvite(event, deps.clock.now()),
      },
    ],
    tasks: [nightlyPurge('auth', 'logins', logins), nightlyPurge('auth', 'account-tokens', accountTokens)],
  };
}
