import { STATUS_CODES } from 'node:http';
import { PackError } from '../buffer/pack-buffer.ts';
import { ValueTakenError } from '../buffer/reservations.ts';
import { StaleVersionError } from '../buffer/write-buffer.ts';
import { WriteRefusedError } from '../buffer/writer.ts';
import { AppError } from '../errors/app-error.ts';
import {
  BufferFullError,
  BufferUnavailableError,
  DatabaseUnavailableError,
  InternalError,
  MalformedRequestError,
  PayloadTooLargeError,
  TakenError,
  UnsupportedMediaTypeError,
  ValidationError,
  VersionConflictError,
  WriteRefusedByStoreError,
} from '../errors/catalogue.ts';
import { classifyPostgresError } from '../errors/driver-errors.ts';
import { StoreUnavailableError } from '../stores/circuit-breaker.ts';

/** When a client may try again while Redis or a database is away, seconds (DOMAIN §0). */
export const RETRY_AFTER: Readonly<Record<string, string>> = Object.freeze({ 'Retry-After': '5' });

interface ForeignError {
  name?: string;
  message?: string;
  code?: unknown;
  /** body-parser's kind of error. */
  type?: string;
}

const REDIS_AWAY =
  /MaxRetriesPerRequest|Stream isn't writeable|Connection is closed|Command timed out|ClusterAllFailed|LOADING|MASTERDOWN|READONLY|CLUSTERDOWN/;
const REDIS_FULL = /\bOOM\b/;

/** Any error as one that callers may see; what is not known becomes "internal error" and keeps its cause for the log. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof StaleVersionError) {
    const { currentVersion } = error;
    return new VersionConflictError({
      detail: error.message,
      members: { currentVersion },
      headers: { ETag: `"${currentVersion}"` },
    });
  }
  if (error instanceof ValueTakenError) {
    return new TakenError({ errors: [{ pointer: `/${error.column}`, detail: 'is taken' }] });
  }
  if (error instanceof WriteRefusedError) {
    const { code, message, column } = error.reason;
    const errors = column ? [{ pointer: `/${column}`, detail: message }] : [];
    return new WriteRefusedByStoreError({ detail: message, errors, members: { reason: code } });
  }
  if (error instanceof PackError) return new ValidationError({ detail: error.message, cause: error });
  if (error instanceof StoreUnavailableError) return new DatabaseUnavailableError({ cause: error });
  const { name = '', message = '', type, code } = (error ?? {}) as ForeignError;
  switch (type) {
    case 'entity.parse.failed':
      return new MalformedRequestError({ detail: `the body is not JSON: ${message.slice(0, 120)}`, cause: error });
    case 'entity.too.large':
      return new PayloadTooLargeError({ cause: error });
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new UnsupportedMediaTypeError({ detail: message, cause: error });
    case 'request.aborted':
    case 'request.size.invalid':
      return new MalformedRequestError({ detail: message, cause: error });
  }
  if (error instanceof URIError)
    return new MalformedRequestError({ detail: 'the path is not well encoded', cause: error });
  if (REDIS_FULL.test(message)) return new BufferFullError({ cause: error });
  if (REDIS_AWAY.test(name + message)) return new BufferUnavailableError({ cause: error });
  const isDatabaseError = /Knex|Mongo/.test(name) || (typeof code === 'string' && /^([0-9A-Z]{5}|E[A-Z]+)$/.test(code));
  if (
    (isDatabaseError || /unable to acquire a connection|connection terminated/i.test(message)) &&
    classifyPostgresError(error) === 'unavailable'
  ) {
    return new DatabaseUnavailableError({ cause: error });
  }
  return new InternalError({ cause: error });
}

/** Where the page of errors (`/docs/errors`) explains a kind. */
export const anchorOf = (code: string): string => code.toLowerCase().replaceAll('_', '-');

/** The problem document of an error (RFC 9457). */
export function problemOf(error: AppError, requestId: string, instance: string): object {
  return {
    type: `/docs/errors#${anchorOf(error.code)}`,
    title: error.status === 500 ? (STATUS_CODES[500] ?? error.title) : error.title,
    status: error.status,
    ...(error.detail ? { detail: error.detail } : {}),
    instance,
    code: error.code,
    requestId,
    ...(error.errors ? { errors: error.errors } : {}),
    ...error.members,
  };
}
