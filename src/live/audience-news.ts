import type { BufferKeys } from '../buffer/keys.ts';
import type { Role } from '../lib/actor.ts';
import type { Channels } from './channels.ts';

/** Whom a message is for, when they are many: each is a channel of its own. */
export type LiveAudience = 'school' | `role:${Role}` | `class:${string}`;

/** A message to an audience. It has no id and is not kept: what must not be missed goes to each user's stream as well. */
export interface AudienceNote {
  name: string;
  /** JSON */
  data: string;
}

/** Messages to many: published once, whatever the number of streams that are open. */
export class AudienceNews {
  readonly #channels: Channels;
  readonly #keys: BufferKeys;

  constructor({ channels, keys }: { channels: Channels; keys: BufferKeys }) {
    this.#channels = channels;
    this.#keys = keys;
  }

  /** @param payload ids only: who listens may have left the audience since its stream was opened */
  async publish(audience: LiveAudience, name: string, payload: Readonly<Record<string, string>>): Promise<void> {
    const note: AudienceNote = { name, data: JSON.stringify(payload) };
    await this.#channels.publish(this.#channel(audience), JSON.stringify(note));
  }

  /** Calls the listener with each message to any of the audiences. @returns what ends it */
  async listen(audiences: Iterable<LiveAudience>, listener: (note: AudienceNote) => void): Promise<() => void> {
    const hear = (message: string) => listener(JSON.parse(message) as AudienceNote);
    const joined = await Promise.allSettled(
      [...new Set(audiences)].map((audience) => this.#channels.listen(this.#channel(audience), hear)),
    );
    const end = () => {
      for (const result of joined) if (result.status === 'fulfilled') result.value();
    };
    const failed = joined.find((result) => result.status === 'rejected');
    if (!failed) return end;
    end();
    throw failed.reason;
  }

  #channel(audience: LiveAudience): string {
    return this.#keys.channel(`audience:${audience}`);
  }
}
