/** Where in a request something is wrong: a JSON pointer (RFC 6901) into the body, `/query/…` and `/params/…` beside it. */
export interface FieldError {
  pointer: string;
  detail: string;
}

/** What one occurrence of an error adds to its kind; all of it is shown to the caller but `cause`. */
export interface ErrorOccurrence {
  detail?: string;
  errors?: readonly FieldError[];
  /** Response headers such as `Retry-After`. */
  headers?: Readonly<Record<string, string>>;
  /** Further members of the problem document, for example the current version. */
  members?: Readonly<Record<string, unknown>>;
  /** For the log only. */
  cause?: unknown;
}

/** An error with a stable code and an HTTP status. Everything else that is thrown is an internal error to callers. */
export class AppError extends Error {
  readonly code: string;
  readonly status: number;
  /** The kind in words: the same for every occurrence. */
  readonly title: string;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly members: Readonly<Record<string, unknown>> | undefined;

  constructor(kind: ErrorKind, occurrence: ErrorOccurrence | string = {}) {
    const { detail, errors, headers, members, cause } =
      typeof occurrence === 'string' ? { detail: occurrence } : occurrence;
    super(detail ?? kind.title, cause === undefined ? undefined : { cause });
    this.name = kind.code;
    this.code = kind.code;
    this.status = kind.status;
    this.title = kind.title;
    this.detail = detail;
    this.errors = errors;
    this.headers = headers;
    this.members = members;
  }
}

export interface ErrorKind {
  /** UPPER_SNAKE; clients branch on it, so it never changes. */
  code: string;
  status: number;
  title: string;
}

/** A class of one kind of error; its occurrence is a detail text or more. */
export interface ErrorClass extends ErrorKind {
  new (occurrence?: ErrorOccurrence | string): AppError;
}

/** Makes the class of one kind of error: a line in the catalogue. */
export function defineError(code: string, status: number, title: string): ErrorClass {
  const kind: ErrorKind = { code, status, title };
  return class extends AppError {
    static readonly code = code;
    static readonly status = status;
    static readonly title = title;

    constructor(occurrence?: ErrorOccurrence | string) {
      super(kind, occurrence);
    }
  };
}
