import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ObjectMissingError, ObjectTooLargeError } from '../../../src/stores/objects/object-store.ts';
import { type OpenStore, openLocalStore, openS3Store } from '../../support/object-stores.ts';

let nowMs = Date.now();
const clock = { now: () => new Date(nowMs) };
let number = 0;
const as = { fileName: 'Übung "1".pdf', mime: 'application/pdf' };
const plain = { fileName: 'a.txt', mime: 'text/plain' };

describe.each([
  { name: 'a folder', open: () => openLocalStore(clock) },
  { name: 'an S3 bucket', open: () => openS3Store() },
])('objects in $name', ({ open }) => {
  let opened: OpenStore;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(() => opened.close());

  const key = () => `homework/2025-09-10/k-${++number}`;
  const text = Buffer.from('%PDF-1.7 a small document');
  const put = async (at: string, body = text, headers?: Record<string, string>, announced = text.length) => {
    const { store, addressOf } = opened;
    const link = await store.uploadLink(at, { mime: 'application/pdf', sizeBytes: announced }, clock.now());
    return fetch(addressOf(link.url), {
      method: link.method,
      headers: headers ?? link.headers,
      body: new Uint8Array(body),
    });
  };

  it('are uploaded by link, looked at, accepted and downloaded by link under their name', async () => {
    const { store, addressOf } = opened;
    const at = key();
    expect(await store.uploaded(at)).toBeUndefined();
    expect((await put(at)).ok).toBe(true);
    const uploaded = (await store.uploaded(at))!;
    expect(uploaded.sizeBytes).toBe(text.length);
    expect((await store.uploadedHead(at, 5)).toString()).toBe('%PDF-');
    expect(await store.accepted(at)).toBeUndefined();
    expect(await store.accept(at, uploaded.tag, as)).toBe(true);
    expect(await store.uploaded(at)).toBeUndefined();
    expect((await store.accepted(at))?.sizeBytes).toBe(text.length);
    expect(await store.read(at, 1_000)).toEqual(text);
    const link = await store.downloadLink(at, as, clock.now());
    const response = await fetch(addressOf(link.url));
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(text);
    expect(response.headers.get('content-type')).toBe('application/pdf');
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="_bung _1_.pdf"; filename*=UTF-8''%C3%9Cbung%20%221%22.pdf`,
    );
  });

  it('are accepted once, though it is asked twice', async () => {
    const { store } = opened;
    const at = key();
    await put(at);
    const { tag } = (await store.uploaded(at))!;
    expect(await Promise.all([store.accept(at, tag, as), store.accept(at, tag, as)])).toContain(true);
    expect(await store.accept(at, tag, as)).toBe(true);
    expect(await store.accept(key(), tag, as)).toBe(false);
  });

  it('stay as they were accepted, though their upload link is still good', async () => {
    const { store } = opened;
    const at = key();
    await put(at);
    await store.accept(at, (await store.uploaded(at))!.tag, as);
    const other = Buffer.from(text).fill('x');
    expect((await put(at, other)).ok).toBe(true);
    expect(await store.read(at, 1_000)).toEqual(text);
  });

  it('refuse another size or type than was announced', async () => {
    const at = key();
    expect((await put(at, Buffer.concat([text, text]))).ok).toBe(false);
    expect((await put(at, text.subarray(1))).ok).toBe(false);
    expect((await put(at, text, { 'Content-Type': 'text/html' })).ok).toBe(false);
    expect(await opened.store.uploaded(at)).toBeUndefined();
  });

  it('refuse a link that was changed', async () => {
    const { store, addressOf } = opened;
    const at = key();
    const link = await store.uploadLink(at, { mime: 'application/pdf', sizeBytes: text.length }, clock.now());
    const other = addressOf(link.url).replace(at, key());
    const answer = await fetch(other, { method: 'PUT', headers: link.headers, body: new Uint8Array(text) });
    expect(answer.status).toBe(403);
  });

  it('are gone when they are discarded, which may be said twice', async () => {
    const at = key();
    await put(at);
    await opened.store.discard(at);
    await opened.store.discard(at);
    expect(await opened.store.uploaded(at)).toBeUndefined();
  });

  it('are gone when they are removed, uploaded or accepted, which may be said twice', async () => {
    const { store } = opened;
    const [uploaded, accepted] = [key(), key()];
    await put(uploaded);
    await put(accepted);
    await store.accept(accepted, (await store.uploaded(accepted))!.tag, as);
    for (const at of [uploaded, accepted, uploaded, accepted]) await store.remove(at);
    expect(await store.uploaded(uploaded)).toBeUndefined();
    expect(await store.accepted(accepted)).toBeUndefined();
  });

  it('are not read when they are missing or too large', async () => {
    const { store } = opened;
    const at = key();
    await expect(store.read(at, 1_000)).rejects.toThrow(ObjectMissingError);
    await put(at);
    await store.accept(at, (await store.uploaded(at))!.tag, as);
    await expect(store.read(at, text.length - 1)).rejects.toThrow(ObjectTooLargeError);
  });
});

describe('objects in a folder', () => {
  it('are not accepted when something else was uploaded since they were looked at', async () => {
    const { store, addressOf, close } = await openLocalStore(clock);
    const at = key2();
    const upload = async (content: string) => {
      const link = await store.uploadLink(at, { mime: 'text/plain', sizeBytes: 3 }, clock.now());
      await fetch(addressOf(link.url), { method: 'PUT', headers: link.headers, body: content });
    };
    await upload('one');
    const { tag } = (await store.uploaded(at))!;
    await upload('two');
    expect(await store.accept(at, tag, plain)).toBe(false);
    expect(await store.accepted(at)).toBeUndefined();
    expect(await store.uploaded(at)).toBeUndefined();
    await close();
  });

  it('end their links after ten minutes, and tell that from a false one', async () => {
    const { store, addressOf, close } = await openLocalStore(clock);
    const link = await store.uploadLink(key2(), { mime: 'text/plain', sizeBytes: 3 }, clock.now());
    expect(link.expiresAt.getTime() - nowMs).toBe(600_000);
    nowMs += 600_000;
    const answer = await fetch(addressOf(link.url), { method: 'PUT', headers: link.headers, body: 'abc' });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ code: 'FORBIDDEN', detail: 'the link has expired' });
    const lengthened = link.url.replace(/expires=\d+/, `expires=${Math.floor(nowMs / 1000) + 60}`);
    expect(await (await fetch(addressOf(lengthened), { method: 'PUT', body: 'abc' })).json()).toMatchObject({
      detail: 'the link is not one of ours',
    });
    const unsigned = await fetch(addressOf(link.url.split('?')[0]!), { method: 'PUT', body: 'abc' });
    expect(unsigned.status).toBe(403);
    expect((await fetch(addressOf(link.url), { method: 'DELETE' })).status).toBe(405);
    await close();
  });

  it('leave nothing behind of an upload that breaks off or is too long', async () => {
    const { store, addressOf, files, close } = await openLocalStore(clock);
    const link = await store.uploadLink(key2(), { mime: 'text/plain', sizeBytes: 3 }, clock.now());
    // No length is said, so all that can be ended is the connection.
    await new Promise<void>((resolve) => {
      const sent = request(addressOf(link.url), { method: 'PUT', headers: link.headers });
      sent.on('error', () => resolve());
      sent.on('response', () => resolve());
      sent.write('ab');
      sent.write('cdef');
    });
    await new Promise<void>((resolve) => {
      const sent = request(addressOf(link.url), { method: 'PUT', headers: { ...link.headers, 'content-length': '3' } });
      sent.on('error', () => resolve());
      sent.write('a', () => sent.destroy(new Error('gone')));
    });
    await expect.poll(files).toEqual([]);
    const outside = await fetch(addressOf(link.url.replace('/objects/', '/objects/..%2f..%2f')), { method: 'PUT' });
    expect(outside.status).toBe(403);
    await close();
  });
});

function key2(): string {
  return `homework/2025-09-10/k-${++number}`;
}
