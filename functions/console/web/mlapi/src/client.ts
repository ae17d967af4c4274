// The transport: who calls, what an answer that is no success becomes, and one
// Idempotency-Key per intent.
import createFetchClient, { type Client } from 'openapi-fetch'
import type { paths } from './schema.js'

export type { components, paths } from './schema.js'

export interface FieldError {
  location: string
  message: string
}

/** Problem is an answer that is no success (RFC 9457), or that none came: then its status is 0. */
export class Problem extends Error {
  readonly status: number
  readonly errors: FieldError[]
  /** Seconds after which asking again makes sense, where the server says so. */
  readonly retryAfter?: number

  constructor(status: number, detail: string, errors: FieldError[] = [], retryAfter?: number) {
    super(detail)
    this.name = 'Problem'
    this.status = status
    this.errors = errors
    this.retryAfter = retryAfter
  }

  /** Whether the same request may succeed later: nothing answered, too many requests, or a dependency is down. */
  get passing(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504
  }
}

export interface Options {
  /** Where the API is, without a trailing slash. The default is the page's own origin. */
  baseUrl?: string
  /** The Supabase access token, or what returns the current one. */
  token?: string | (() => string | null | undefined | Promise<string | null | undefined>)
  /** Called on a 401; a token that it returns is tried once. */
  onUnauthorized?: () => string | null | undefined | Promise<string | null | undefined>
  fetch?: (request: Request) => Promise<Response>
}

export type Transport = Client<paths>

/** transport returns a typed fetch client that signs each request and throws a Problem for each answer that is no success. */
export function transport(options: () => Options): Transport {
  const send = async (request: Request): Promise<Response> => {
    const { token, onUnauthorized, fetch: own } = options()
    const ask = own ?? ((one: Request) => globalThis.fetch(one))
    const signed = await (typeof token === 'function' ? token() : token)
    const again = onUnauthorized ? request.clone() : null
    if (signed) request.headers.set('Authorization', `Bearer ${signed}`)
    let answer = await reach(ask, request)
    if (answer.status === 401 && again && onUnauthorized) {
      const fresh = await onUnauthorized()
      if (fresh) {
        again.headers.set('Authorization', `Bearer ${fresh}`)
        answer = await reach(ask, again)
      }
    }
    if (!answer.ok) throw await problem(answer)
    return answer
  }
  const origin = typeof location === 'undefined' ? 'http://localhost' : location.origin
  return createFetchClient<paths>({
    baseUrl: '',
    fetch: (request) => send(request),
    Request: class extends Request {
      constructor(input: RequestInfo | URL, init?: RequestInit) {
        super(typeof input === 'string' ? (options().baseUrl ?? origin).replace(/\/$/, '') + input : input, init)
      }
    } as typeof Request,
    headers: { Accept: 'application/json' },
  })
}

async function reach(ask: (request: Request) => Promise<Response>, request: Request): Promise<Response> {
  try {
    return await ask(request)
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new Problem(0, 'The server cannot be reached. Check your connection; it is tried again by itself.')
  }
}

async function problem(answer: Response): Promise<Problem> {
  const body = (await answer.json().catch(() => null)) as { detail?: string; errors?: FieldError[] } | null
  const after = Number(answer.headers.get('Retry-After'))
  const detail = body?.detail ?? `The server answered ${answer.status} without saying why.`
  return new Problem(answer.status, detail, body?.errors ?? [], Number.isFinite(after) && after > 0 ? after : undefined)
}

/** newKey returns a fresh Idempotency-Key: one for each thing that somebody wants done, however often it is sent. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** withoutNulls takes members that are null out of a fresh answer, at any depth, and returns it. */
export function withoutNulls<T>(value: T): T {
  if (Array.isArray(value)) value.forEach(withoutNulls)
  else if (typeof value === 'object' && value !== null) {
    const members = value as Record<string, unknown>
    for (const name in members) {
      if (members[name] === null) delete members[name]
      else withoutNulls(members[name])
    }
  }
  return value
}
